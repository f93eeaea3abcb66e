# SPDX-License-Identifier: MIT
"""Flushes all caches, a denial of service where it works."""

from exokernel.metal import asm

ENDS = (13,)


def main() -> None:
    asm("wbinvd", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
