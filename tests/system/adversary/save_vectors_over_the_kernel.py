# SPDX-License-Identifier: MIT
"""Saves its vector registers over the kernel."""

from exokernel.aegis import abi
from exokernel.metal import asm

ENDS = (14,)


def main() -> None:
    abi.floating_point(1)
    asm("mov rbx, 0xFFFFFFFF80200000; mov eax, 7; xor edx, edx; xsave [rbx]", "~{rbx},~{rax},~{rdx},~{memory},~{flags}")
