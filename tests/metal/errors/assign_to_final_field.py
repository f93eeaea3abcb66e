# SPDX-License-Identifier: MIT
from typing import Final

from exokernel.metal import struct, u32


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


ORIGIN: Final[Point] = Point(1, 2)


def main(x: u32) -> u32:
    ORIGIN.x = 1
    return x
