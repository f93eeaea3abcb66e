# SPDX-License-Identifier: MIT
"""Has the kernel read frame numbers from its own memory, and from beyond the edge."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Call
from exokernel.exos import aegis
from exokernel.metal import u64

SANDBOX = 0x10000000 // abi.PAGE_BYTES


def main() -> u64:
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    got: u64 = 0
    for count in range(1, abi.BATCH + 2):
        got += u64(aegis.call4(Call.TLB_INSERT_BATCH, SANDBOX, 0xFFFFFFFF80200000, count, 1) >= 0)
        got += u64(aegis.call4(Call.TLB_INSERT_BATCH, SANDBOX, 0xFFFFFFFFFFFFFFF8, count, 1) >= 0)
        got += u64(aegis.call4(Call.TLB_INSERT_BATCH, SANDBOX, abi.USER_LIMIT - 8, count, 1) >= 0)
    return got
