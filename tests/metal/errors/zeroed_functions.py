# SPDX-License-Identifier: MIT
from collections.abc import Callable

from exokernel.metal import Array, u32


def main(x: u32) -> u32:
    a = Array[Callable[[u32], u32], 2]()
    return x
