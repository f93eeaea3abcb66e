# SPDX-License-Identifier: MIT
from exokernel.metal import u32

total = 0


def main(x: u32) -> u32:
    global total
    total = total + x
    return total
