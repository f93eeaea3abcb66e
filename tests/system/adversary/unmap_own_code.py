# SPDX-License-Identifier: MIT
"""Unmaps the code that it executes."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import asm, u64

ENDS = (14,)


def main() -> None:
    aegis.tlb_insert(u64(main) // abi.PAGE_BYTES, 0, 0)
    asm("nop", "~{memory}")
