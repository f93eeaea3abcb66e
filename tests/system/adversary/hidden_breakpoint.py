# SPDX-License-Identifier: MIT
"""The one-byte debug exception, which no privilege check stops."""

from exokernel.metal import asm

ENDS = (1, 6)  # QEMU does not know the instruction


def main() -> None:
    asm(".byte 0xf1", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
