# SPDX-License-Identifier: MIT
"""Filters that make the deepest trie: sixteen fields, and two values in each of the first seven. The kernel's stack must
bear it.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom, Error
from exokernel.exos import aegis
from exokernel.metal import Array, addr, u16, u32, u64

FILTERS = 128
ring: abi.ReceiveRing = abi.ReceiveRing()


def main() -> None:
    atoms = Array[Atom, abi.FILTER_ATOMS]()
    bound: u64 = 0
    last: u64 = 0
    for number in range(FILTERS):
        for i in range(abi.FILTER_ATOMS):
            atoms[i].offset = u16(90 * i)
            atoms[i].width = 32
            atoms[i].mask = 0xFFFF_FFFF
            atoms[i].value = u32(number >> i & 1)
        result = aegis.filter_bind(u64(addr(ring)), u64(addr(atoms)), len(atoms), abi.ANY)
        if result < 0:
            print("refused", result == Error.NO_ROOM)
            break
        bound += 1
        last = u64(result)
    print("bound", bound)
    print("removed", aegis.filter_remove(last), aegis.filter_remove(last) == Error.NOT_OWNER)
