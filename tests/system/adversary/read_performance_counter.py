# SPDX-License-Identifier: MIT
"""Reads a performance counter, which would show what others do."""

from exokernel.metal import asm

ENDS = (13,)


def main() -> None:
    asm("xor ecx, ecx; rdpmc", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
