# SPDX-License-Identifier: MIT
"""Pushes with its stack pointer in the direct map."""

from exokernel.metal import asm

ENDS = (14,)


def main() -> None:
    asm("mov rsp, 0xFFFF800000300000; push rax", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
