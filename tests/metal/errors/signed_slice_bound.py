# SPDX-License-Identifier: MIT
from exokernel.metal import Array, i64, u32, u8


def main(i: i64) -> u32:
    a = Array[u8, 4]()
    return u32(len(a[i:]))
