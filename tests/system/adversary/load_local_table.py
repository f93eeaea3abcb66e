# SPDX-License-Identifier: MIT
"""Loads a local descriptor table."""

from exokernel.metal import asm

ENDS = (13,)


def main() -> None:
    asm("mov eax, 0x10; lldt ax", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
