# SPDX-License-Identifier: MIT
from exokernel.metal import Array, Ptr, addr, u32, u8


def main(x: u32) -> u32:
    a = Array[u32, 1]()
    p: Ptr[u8] = addr(a[0])
    return x
