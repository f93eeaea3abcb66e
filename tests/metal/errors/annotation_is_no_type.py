# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def helper(a: u32) -> u32:
    return a


def main(x: u32) -> u32:
    y: helper = x
    return y
