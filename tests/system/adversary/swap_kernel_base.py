# SPDX-License-Identifier: MIT
"""Exchanges the GS base with the kernel's."""

from exokernel.metal import asm

ENDS = (13,)


def main() -> None:
    asm("swapgs", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
