# SPDX-License-Identifier: MIT
"""Sets a hardware breakpoint on the kernel."""

from exokernel.metal import asm

ENDS = (13,)


def main() -> None:
    asm("mov rax, 0xFFFFFFFF80200000; mov dr0, rax", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
