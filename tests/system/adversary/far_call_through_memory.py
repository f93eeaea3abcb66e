# SPDX-License-Identifier: MIT
"""Calls through a far pointer to the kernel's segment."""

from exokernel.metal import asm

ENDS = (
    11,
    13,
)


def main() -> None:
    asm("push 8; push 0x200000; .byte 0xff, 0x1c, 0x24", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
