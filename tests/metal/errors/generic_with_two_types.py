# SPDX-License-Identifier: MIT
from typing import TypeVar

from exokernel.metal import i32, u32

T = TypeVar("T")


def largest(a: T, b: T) -> T:
    return a if a > b else b


def main(x: u32) -> u32:
    y: i32 = 1
    return u32(largest(x, y))
