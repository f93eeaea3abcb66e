# SPDX-License-Identifier: MIT
"""Restores vector registers from an area that makes no sense."""

from exokernel.exos import aegis
from exokernel.metal import Array, addr, aligned, asm, u8, u64

ENDS = (13,)
area: Array[u8, 4096] = aligned(64, Array[u8, 4096](b"\xff" * 4096))


def main() -> None:
    aegis.floating_point(1)
    asm("mov eax, 7; xor edx, edx; xrstor [rcx]", "{rcx},~{rax},~{rdx},~{memory},~{flags}", u64(addr(area)))
