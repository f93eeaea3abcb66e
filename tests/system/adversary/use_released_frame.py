# SPDX-License-Identifier: MIT
"""Maps a frame, releases it and writes through the old mapping."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import Ptr, u64, volatile_store

ENDS = (14,)
SANDBOX = 0x10000000 // abi.PAGE_BYTES


def main() -> None:
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    frame = u64(aegis.frame_claim(abi.ANY))
    aegis.tlb_insert(SANDBOX, frame, Right.WRITE)
    volatile_store(Ptr[u64](SANDBOX * abi.PAGE_BYTES), 1)
    if aegis.frame_release(frame) == 0:
        volatile_store(Ptr[u64](SANDBOX * abi.PAGE_BYTES), 2)
