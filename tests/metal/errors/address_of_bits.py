# SPDX-License-Identifier: MIT
from exokernel.metal import addr, bits, field, struct, u32


@bits(u32)
class Entry:
    present: bool = field(0)
    frame: u32 = field(12, 31)


@struct
class Box:
    entry: Entry


def main(x: u32) -> u32:
    e = Box()
    p = addr(e.entry.frame)
    return x
