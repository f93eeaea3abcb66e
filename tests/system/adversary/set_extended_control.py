# SPDX-License-Identifier: MIT
"""Turns processor features on for everybody."""

from exokernel.metal import asm

ENDS = (
    6,
    13,
)


def main() -> None:
    asm("xor ecx, ecx; mov eax, 7; xor edx, edx; xsetbv", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
