# SPDX-License-Identifier: MIT
"""Its status is 1000 for each argument, 1 for each byte, and their sum."""

from exokernel.exos import arguments
from exokernel.metal import i64


def main() -> i64:
    total: i64 = 0
    for i in range(arguments.count()):
        total += 1000 + i64(len(arguments.get(i)))
        for byte in arguments.get(i):
            total += byte
    return total
