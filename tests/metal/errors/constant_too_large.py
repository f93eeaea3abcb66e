# SPDX-License-Identifier: MIT
from exokernel.metal import u32, u8


def main(x: u32) -> u32:
    y: u8 = 256
    return y
