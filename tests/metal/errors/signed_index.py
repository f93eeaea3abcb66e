# SPDX-License-Identifier: MIT
from exokernel.metal import Array, i32, u32, u8


def main(i: i32) -> u32:
    a = Array[u8, 4]()
    return a[i]
