# SPDX-License-Identifier: MIT
"""Saves its vector registers over the kernel."""

from exokernel.exos import aegis
from exokernel.metal import asm

ENDS = (14,)


def main() -> None:
    aegis.floating_point(1)
    asm("mov rbx, 0xFFFFFFFF80200000; mov eax, 7; xor edx, edx; xsave [rbx]", "~{rbx},~{rax},~{rdx},~{memory},~{flags}")
