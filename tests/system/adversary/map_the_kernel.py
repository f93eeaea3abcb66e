# SPDX-License-Identifier: MIT
"""Tries to map the kernel's code, readable, writable or executable."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import u64

SANDBOX = 0x10000000 // abi.PAGE_BYTES  # here nothing is mapped
CODE = 0x200  # the first frame of the kernel's image


def main() -> u64:
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    got: u64 = 0
    for frame in range(CODE, CODE + 4):
        for rights in range(Right.READ, Right.READ + Right.EXECUTE + 1):
            got += u64(aegis.tlb_insert(SANDBOX, frame, rights) >= 0)
    return got
