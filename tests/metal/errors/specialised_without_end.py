# SPDX-License-Identifier: MIT
from typing import TypeVar

from exokernel.metal import Array, Ptr, addr, u8, u32

T = TypeVar("T")


def deeper(a: Ptr[T], n: u32) -> u32:
    if n == 0:
        return 0
    further = Array[Ptr[T], 1]()
    return deeper(addr(further[0]), n - 1)


def main() -> u32:
    a = Array[u8, 1]()
    return deeper(addr(a[0]), 3)
