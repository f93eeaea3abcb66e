# SPDX-License-Identifier: MIT
from exokernel.metal import bits, field, u32


@bits(u32)
class Entry:
    present: bool = field(0)
    frame: u32 = field(12, 31)


def main(x: u32) -> u32:
    e = Entry(x)
    return e.fram
