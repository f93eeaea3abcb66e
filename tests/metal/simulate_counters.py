# SPDX-License-Identifier: MIT
"""Module variables that test_simulate.py reaches through their module."""

from exokernel.metal import Array, bits, field, u8, u16, u32


@bits(u16)
class Flags:
    ready: bool = field(0)
    level: u8 = field(4, 7)


count: u32 = 0
flags: Flags = Flags(0)
table: Array[u8, 4] = Array[u8, 4]()
