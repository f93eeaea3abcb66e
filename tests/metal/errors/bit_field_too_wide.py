# SPDX-License-Identifier: MIT
from exokernel.metal import bits, field, u32, u64


@bits(u32)
class Entry:
    present: bool = field(0)
    frame: u32 = field(12, 31)


def main(y: u64) -> u32:
    e = Entry(0)
    e.frame = y
    return e.raw
