# SPDX-License-Identifier: MIT
"""Enters by the instruction that the kernel did not set up."""

from exokernel.metal import asm

ENDS = (
    6,
    13,
)


def main() -> None:
    asm("sysenter", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
