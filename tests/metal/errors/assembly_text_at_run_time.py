# SPDX-License-Identifier: MIT
from exokernel.metal import asm, u32


def main(x: u32, s: str) -> u32:
    asm(s)
    return x
