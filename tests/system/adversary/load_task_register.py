# SPDX-License-Identifier: MIT
"""Loads a task register of its own."""

from exokernel.metal import asm

ENDS = (13,)


def main() -> None:
    asm("mov eax, 0x28; ltr ax", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
