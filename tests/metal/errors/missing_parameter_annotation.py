# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def helper(a, b: u32) -> u32:
    return b


def main(x: u32) -> u32:
    return helper(x, x)
