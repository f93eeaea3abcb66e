# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def helper(*args: u32) -> u32:
    return 0


def main(x: u32) -> u32:
    return helper(x)
