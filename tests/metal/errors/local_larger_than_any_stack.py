# SPDX-License-Identifier: MIT
from exokernel.metal import Array, u8, u64


def main(i: u64) -> u64:
    a = Array[u8, 1 << 40]()
    a[i] = 1
    return a[5]
