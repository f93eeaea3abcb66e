# SPDX-License-Identifier: MIT
from exokernel.metal import Array, u8

table: Array[u8, 4] = Array[u8, 5]()  # type: ignore[assignment]


def main() -> u8:
    return table[3]
