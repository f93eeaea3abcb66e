# SPDX-License-Identifier: MIT
"""Prefetches kernel memory, which must be ignored, and then reads it."""

from exokernel.metal import asm

ENDS = (14,)


def main() -> None:
    asm(
        "mov rax, 0xFFFFFFFF80200000; prefetcht0 [rax]; mov rax, [rax]",
        "~{memory},~{flags},~{rax},~{rcx},~{rdx},~{r11}",
    )
