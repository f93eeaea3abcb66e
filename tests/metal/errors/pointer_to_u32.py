# SPDX-License-Identifier: MIT
from exokernel.metal import Array, addr, u32


def main(x: u32) -> u32:
    a = Array[u32, 1]()
    return u32(addr(a[0]))
