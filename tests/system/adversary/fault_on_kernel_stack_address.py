# SPDX-License-Identifier: MIT
"""Faults while its stack pointer is the kernel's."""

from exokernel.metal import asm

ENDS = (6,)


def main() -> None:
    asm("mov rsp, 0xFFFFFFFF80300000; ud2", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
