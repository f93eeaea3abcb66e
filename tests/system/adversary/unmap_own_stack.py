# SPDX-License-Identifier: MIT
"""Unmaps the stack that it runs on."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import asm

ENDS = (14,)


def main() -> None:
    for page in range((abi.STACK_TOP - abi.STACK_BYTES) // abi.PAGE_BYTES, abi.STACK_TOP // abi.PAGE_BYTES):
        aegis.tlb_insert(page, 0, 0)
    asm("push rax; pop rax", "~{memory}")
