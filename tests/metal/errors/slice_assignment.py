# SPDX-License-Identifier: MIT
from exokernel.metal import Array, u32, u8


def main(x: u32) -> u32:
    a = Array[u8, 8]()
    a[0:2] = a[2:4]
    return x
