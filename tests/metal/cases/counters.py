# SPDX-License-Identifier: MIT
"""A module whose variables the cases of `variables` reach from outside."""

from exokernel.metal import *

count: u64 = 0
signed: i16 = -5
SCALE = 3
table: Array[u32, 4] = Array[u32, 4]([1, 2, 3, 4])


@struct
class Total:
    value: u32


total: Total = Total(100)


def increment() -> u64:
    global count
    count += 1
    return count
