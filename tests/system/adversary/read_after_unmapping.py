# SPDX-License-Identifier: MIT
"""Reads a page that it has unmapped since it was last read."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import Ptr, u64, volatile_load, volatile_store

ENDS = (14,)
SANDBOX = 0x10000000 // abi.PAGE_BYTES  # here nothing is mapped


def main() -> u64:
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    place = Ptr[u64](SANDBOX * abi.PAGE_BYTES)
    aegis.tlb_insert(SANDBOX, u64(aegis.frame_claim(abi.ANY)), Right.WRITE)
    volatile_store(place, 1)
    aegis.tlb_insert(SANDBOX, 0, Right.NONE)
    return volatile_load(place)
