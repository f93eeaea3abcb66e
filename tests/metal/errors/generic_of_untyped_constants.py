# SPDX-License-Identifier: MIT
from typing import TypeVar

from exokernel.metal import u32

T = TypeVar("T")


def largest(a: T, b: T) -> T:
    return a if a > b else b


def main(x: u32) -> u32:
    return largest(1, 2)
