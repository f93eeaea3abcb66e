# SPDX-License-Identifier: MIT
from exokernel.metal import Array, struct, u32


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


def main(x: u32) -> u32:
    a = Array[Point, 2]()
    a[0] = Point(1, 2)
    return a[0].x
