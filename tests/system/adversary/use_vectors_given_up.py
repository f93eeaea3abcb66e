# SPDX-License-Identifier: MIT
"""Uses vector registers after it has given them up."""

from exokernel.aegis import abi
from exokernel.metal import asm

ENDS = (7,)


def main() -> None:
    abi.floating_point(1)
    asm("movq xmm0, rax", "~{memory}")
    abi.floating_point(0)
    asm("movq rax, xmm0", "~{rax},~{memory}")
