# SPDX-License-Identifier: MIT
from exokernel.metal import struct, u32, u64


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


def main(y: u64) -> u32:
    p = Point()
    p.x = y
    return p.x
