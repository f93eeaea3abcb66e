# SPDX-License-Identifier: MIT
from exokernel.metal import Array, struct, u32, u8, view


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


def main(x: u32) -> u32:
    a = Array[u8, 16]()
    return view(Point, a).x
