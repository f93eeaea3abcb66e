# SPDX-License-Identifier: MIT
from exokernel.metal import u16, u32


def helper(a: u16) -> u16:
    return a


def main(x: u32) -> u32:
    return helper(x)
