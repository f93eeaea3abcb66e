# SPDX-License-Identifier: MIT
"""An echo server that tells, to whoever sends a datagram to port 8, what became of all frames so far: those the kernel
received, delivered and had no room for, and those the library received, delivered and dropped on arrival.
"""

from exokernel.exos import aegis
from exokernel.exos.net import network
from exokernel.exos.net.drop import Drop
from exokernel.exos.net.interface import Peer
from exokernel.metal import Array, Span, format_into, u8, u64


def echo(sender: Peer, data: Span[u8]) -> None:
    network.send(sender, data)


def tell(sender: Peer, data: Span[u8]) -> None:
    kernel = aegis.system_page().network
    card = network.card
    dropped: u64 = 0
    for reason in range(Drop.SEND_LENGTH):  # the reasons of arrival come first
        dropped += card.dropped[reason]
    text = Array[u8, 200]()
    length = format_into(
        text,
        f"{kernel.received} {kernel.delivered} {kernel.ring_full} {card.received} {card.delivered} {dropped}",
    )
    network.send(sender, text[:length])


def main() -> None:
    network.start()
    network.bind(7, echo)
    network.bind(8, tell)
    print("ready")
    network.serve_forever()
