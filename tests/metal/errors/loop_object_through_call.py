# SPDX-License-Identifier: MIT
from exokernel.metal import struct, u32


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


def same(p: Point) -> Point:
    return p


def main(x: u32) -> u32:
    last = Point()
    for i in range(x):
        p = Point(i, i)
        last = same(p)
        p = Point()
    return last.x
