# SPDX-License-Identifier: MIT
"""Reads the address of the kernel's entry (LSTAR)."""

from exokernel.metal import asm

ENDS = (13,)


def main() -> None:
    asm("mov ecx, 0xC0000082; rdmsr", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
