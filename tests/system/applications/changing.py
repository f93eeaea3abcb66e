# SPDX-License-Identifier: MIT
"""Binds and removes packet filters without end, so that their code is written and made executable again and again."""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom
from exokernel.exos import aegis
from exokernel.exos.net import packets
from exokernel.exos.net.packets import udp
from exokernel.metal import Array, addr, u64

COUNT = len(packets.listed(udp.destination == 7))
ATOMS: Final[Array[Atom, packets.ATOMS]] = packets.atoms(udp.destination == 7)
ring: abi.ReceiveRing = abi.ReceiveRing()


def main() -> None:
    print("changing")
    while True:
        number = aegis.filter_bind(u64(addr(ring)), u64(addr(ATOMS)), COUNT, abi.ANY)
        assert number >= 0 and aegis.filter_remove(u64(number)) == 0
