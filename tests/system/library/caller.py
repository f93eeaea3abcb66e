# SPDX-License-Identifier: MIT
"""Speaks first: sends a datagram to 10.0.0.1, whose station only ARP can tell, and prints what becomes of it."""

from exokernel.exos.net import interface, network
from exokernel.exos.net.drop import Drop
from exokernel.exos.net.interface import Peer
from exokernel.metal import Array, Span, u8

GREETING = b"anybody there?"
PEER = 0x0A00_0001
answered: bool = False


def on_answer(sender: Peer, data: Span[u8]) -> None:
    global answered
    print("answer:", data)
    answered = True


def main() -> None:
    network.start()
    network.bind(5000, on_answer)
    greeting = Array[u8, len(GREETING)](GREETING)
    while not answered:
        lost = network.card.dropped[Drop.SEND_NEIGHBOUR]
        network.send(Peer(PEER, 6000, 5000, interface.ASK), greeting)
        while not answered and network.card.dropped[Drop.SEND_NEIGHBOUR] == lost:
            if network.poll() == 0:
                network.sleep(interface.NEVER)
        if not answered:
            print("nobody")
