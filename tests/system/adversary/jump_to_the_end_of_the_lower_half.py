# SPDX-License-Identifier: MIT
"""Jumps to the last canonical address."""

from exokernel.metal import asm

ENDS = (
    14,
    13,
)


def main() -> None:
    asm("mov rax, 0x7FFFFFFFFFFF; jmp rax", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
