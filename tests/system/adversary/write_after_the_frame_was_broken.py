# SPDX-License-Identifier: MIT
"""Writes through a bound mapping, breaks the frame, and writes again through what the processor may remember."""

from family import SANDBOX, bind_frame, claim, prepare_sandbox

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import Ptr, u64, volatile_store

ENDS = (14,)


def main() -> u64:
    prepare_sandbox()
    frame = claim()
    bind_frame(0, frame, Right.WRITE)
    aegis.tlb_insert_bound(SANDBOX, 0, Right.WRITE)
    volatile_store(Ptr[u64](SANDBOX * abi.PAGE_BYTES), 1)
    aegis.frame_break(frame)
    volatile_store(Ptr[u64](SANDBOX * abi.PAGE_BYTES), 2)
    return 1
