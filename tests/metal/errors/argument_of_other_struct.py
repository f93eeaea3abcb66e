# SPDX-License-Identifier: MIT
from exokernel.metal import struct, u32


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


@struct
class Other:
    x: u32


def helper(p: Point) -> u32:
    return p.x


def main(x: u32) -> u32:
    q = Other()
    return helper(q)
