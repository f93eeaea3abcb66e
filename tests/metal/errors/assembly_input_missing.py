# SPDX-License-Identifier: MIT
from exokernel.metal import asm, u32


def main(x: u32) -> u32:
    asm("mov eax, ebx", "{ebx}")
    return x
