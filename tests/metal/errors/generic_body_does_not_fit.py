# SPDX-License-Identifier: MIT
from typing import TypeVar

from exokernel.metal import struct, u32

T = TypeVar("T")


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


def largest(a: T, b: T) -> T:
    return a if a > b else b


def main(x: u32) -> u32:
    p = Point()
    return largest(p, p).x
