# SPDX-License-Identifier: MIT
"""A breakpoint in the shadow of a load of SS, which some kernels took for their own."""

from exokernel.metal import asm

ENDS = (3,)


def main() -> None:
    asm("mov eax, ss; mov ss, eax; int3", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
