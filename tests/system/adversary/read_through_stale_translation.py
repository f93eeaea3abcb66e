# SPDX-License-Identifier: MIT
"""Reads a page, replaces its frame and reads again: the old frame must not be seen."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import Ptr, u64, volatile_load, volatile_store

SANDBOX = 0x10000000 // abi.PAGE_BYTES  # here nothing is mapped


def main() -> u64:
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    first = u64(aegis.frame_claim(abi.ANY))
    second = u64(aegis.frame_claim(abi.ANY))
    place = Ptr[u64](SANDBOX * abi.PAGE_BYTES)
    wrong: u64 = 0
    for turn in range(1000):
        aegis.tlb_insert(SANDBOX, first, Right.WRITE)
        volatile_store(place, 1)
        aegis.tlb_insert(SANDBOX, second, Right.WRITE)
        wrong += u64(volatile_load(place) == 1)
        volatile_store(place, 2)
        aegis.tlb_insert(SANDBOX, first, Right.READ)
        wrong += u64(volatile_load(place) != 1)
    return wrong
