# SPDX-License-Identifier: MIT
"""Prepares entries in a frame, unmaps it and donates it: the kernel must clear it, so that the page faults."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import Ptr, u64

ENDS = (14,)
SANDBOX = 0x10000000 // abi.PAGE_BYTES  # here nothing is mapped


def main() -> u64:
    frame = u64(aegis.frame_claim(abi.ANY))
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    aegis.tlb_insert(SANDBOX, frame, Right.WRITE)
    Ptr[u64](SANDBOX * abi.PAGE_BYTES)[0] = 0x200007  # the kernel's image, writable
    aegis.tlb_insert(SANDBOX, 0, Right.NONE)
    if aegis.tlb_node(SANDBOX + 512, frame) != 0:
        return 1
    return Ptr[u64]((SANDBOX + 512) * abi.PAGE_BYTES)[0]
