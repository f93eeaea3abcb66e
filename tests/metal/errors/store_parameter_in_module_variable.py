# SPDX-License-Identifier: MIT
from exokernel.metal import Ptr, addr, struct, u32


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


last: Ptr[Point] = Ptr[Point](0)


def keep(p: Point) -> None:
    global last
    last = addr(p)


def main(x: u32) -> u32:
    p = Point()
    keep(p)
    return x
