# SPDX-License-Identifier: MIT
"""Lets itself use another's floating-point registers."""

from exokernel.metal import asm

ENDS = (13,)


def main() -> None:
    asm("clts", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
