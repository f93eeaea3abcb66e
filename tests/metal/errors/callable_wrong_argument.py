# SPDX-License-Identifier: MIT
from collections.abc import Callable

from exokernel.metal import u32, u64


def other(a: u64) -> u64:
    return a


def apply(f: Callable[[u32], u32], x: u32) -> u32:
    return f(x)


def main(x: u32) -> u32:
    return apply(other, x)
