# SPDX-License-Identifier: MIT
"""Uses vector registers after it has given them up."""

from exokernel.exos import aegis
from exokernel.metal import asm

ENDS = (7,)


def main() -> None:
    aegis.floating_point(1)
    asm("movq xmm0, rax", "~{memory}")
    aegis.floating_point(0)
    asm("movq rax, xmm0", "~{rax},~{memory}")
