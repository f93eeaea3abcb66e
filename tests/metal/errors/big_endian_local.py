# SPDX-License-Identifier: MIT
from exokernel.metal import u16be, u32


def main(x: u32) -> u32:
    y: u16be = 5
    return y
