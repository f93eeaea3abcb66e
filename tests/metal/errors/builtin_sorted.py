# SPDX-License-Identifier: MIT
from exokernel.metal import Array, u32


def main(x: u32) -> u32:
    a = Array[u32, 2]()
    sorted(a)
    return x
