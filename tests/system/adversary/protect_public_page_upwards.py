# SPDX-License-Identifier: MIT
"""Maps a frame of the bundle to read and makes the mapping writable, alone and between pages of its own, then writes."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import Ptr, u64, volatile_store

ENDS = (14,)
SANDBOX = 0x10000000 // abi.PAGE_BYTES


def main() -> u64:
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    aegis.tlb_insert(SANDBOX, u64(aegis.frame_claim(abi.ANY)), Right.WRITE)
    aegis.tlb_insert(SANDBOX + 2, u64(aegis.frame_claim(abi.ANY)), Right.WRITE)
    if aegis.tlb_insert(SANDBOX + 1, aegis.system_page().bundle_frame, Right.READ) != 0:
        return 1
    if aegis.tlb_protect(SANDBOX + 1, 1, Right.WRITE) >= 0 or aegis.tlb_protect(SANDBOX, 3, Right.WRITE) >= 0:
        return 2
    volatile_store(Ptr[u64]((SANDBOX + 1) * abi.PAGE_BYTES), 0)
    return 3
