# SPDX-License-Identifier: MIT
from exokernel.metal import struct, u32


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


def main(x: u32) -> u32:
    first = Point()
    for i in range(x):
        p = Point(i, i)
        first = p
        p = Point()
    return first.x
