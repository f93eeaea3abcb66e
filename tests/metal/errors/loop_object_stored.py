# SPDX-License-Identifier: MIT
from exokernel.metal import Array, Ptr, addr, struct, u32


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


def main(x: u32) -> u32:
    a = Array[Ptr[Point], 4]()
    for i in range(4):
        p = Point(x, x)
        a[i] = addr(p)
    return a[0][0].x
