# SPDX-License-Identifier: MIT
from exokernel.metal import Array, u32, u8


def main(x: u32) -> u32:
    a = Array[u8, 4]()
    return a[-5]
