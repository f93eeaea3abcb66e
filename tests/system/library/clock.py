# SPDX-License-Identifier: MIT
"""Answers each datagram with a timestamp, eight bytes, and with how many the kernel says a second has, eight more."""

from exokernel.exos import aegis
from exokernel.exos.net import network
from exokernel.exos.net.interface import Peer
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Ptr, Span, addr, u8, u64

answered: Array[u64, 2] = Array[u64, 2]()


def answer(sender: Peer, data: Span[u8]) -> None:
    answered[0] = read_timestamp()
    answered[1] = aegis.system_page().timestamp_frequency
    network.send(sender, Span[u8](Ptr[u8](addr(answered[0])), 16))


def main() -> None:
    if network.start() and network.bind(7, answer):
        print("The clock answers.")
        network.serve_forever()
