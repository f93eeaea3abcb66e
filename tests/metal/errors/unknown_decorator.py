# SPDX-License-Identifier: MIT
import functools

from exokernel.metal import u32


@functools.cache
def helper(x: u32) -> u32:
    return x


def main(x: u32) -> u32:
    return helper(x)
