# SPDX-License-Identifier: MIT
from exokernel.metal import Array, u8, u64


def main() -> u64:
    a: Array[Array[u8, 1 << 46], 4] = Array[Array[u8, 1 << 46], 4]()
    return len(a)
