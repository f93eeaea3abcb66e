# SPDX-License-Identifier: MIT
"""Maps a frame, gives it away and writes through the old mapping."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.metal import Ptr, u64, volatile_store

ENDS = (14,)
SANDBOX = 0x10000000 // abi.PAGE_BYTES


def main() -> None:
    abi.tlb_node(SANDBOX, u64(abi.frame_claim(abi.ANY)))
    frame = u64(abi.frame_claim(abi.ANY))
    abi.tlb_insert(SANDBOX, frame, Right.WRITE)
    volatile_store(Ptr[u64](SANDBOX * abi.PAGE_BYTES), 1)
    if abi.frame_give(frame, 0) == 0:
        volatile_store(Ptr[u64](SANDBOX * abi.PAGE_BYTES), 2)
