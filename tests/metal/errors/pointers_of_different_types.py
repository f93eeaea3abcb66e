# SPDX-License-Identifier: MIT
from exokernel.metal import Array, addr, u32, u8


def main(x: u32) -> u32:
    a = Array[u32, 1]()
    b = Array[u8, 1]()
    return 1 if addr(a[0]) == addr(b[0]) else 0
