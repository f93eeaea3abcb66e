# SPDX-License-Identifier: MIT
"""Inserts its own frame at pages of the kernel's half, and where page numbers wrap."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    frame = u64(aegis.frame_claim(abi.ANY))
    got: u64 = 0
    for shift in range(18, 64):
        for page in range((u64(1) << shift) - 2 if shift > 18 else u64(1) << shift, (u64(1) << shift) + 2):
            got += u64(page >= abi.USER_LIMIT // abi.PAGE_BYTES and aegis.tlb_insert(page, frame, Right.WRITE) >= 0)
            got += u64(page >= abi.USER_LIMIT // abi.PAGE_BYTES and aegis.tlb_node(page, frame) >= 0)
    return got
