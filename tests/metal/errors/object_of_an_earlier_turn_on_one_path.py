# SPDX-License-Identifier: MIT
from exokernel.metal import struct, u32


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


def main(x: u32) -> u32:
    last = Point()
    total: u32 = 0
    for i in range(x):
        total += last.x
        p = Point(i, i)
        if i == 0:
            last = p
    return total
