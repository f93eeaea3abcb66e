# SPDX-License-Identifier: MIT
from exokernel.metal import u32, u64


def first(a: u32) -> u32:
    return a


def second(a: u64) -> u64:
    return a


def main(x: u32) -> u32:
    f = first
    f = second
    return x
