# SPDX-License-Identifier: MIT
"""Faults while its stack pointer is no address at all."""

from exokernel.metal import asm

ENDS = (6,)


def main() -> None:
    asm("mov rsp, 0x8000000000000000; ud2", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
