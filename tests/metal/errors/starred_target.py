# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def pair(x: u32) -> tuple[u32, u32]:
    return x, x


def main(x: u32) -> u32:
    a, *b = pair(x)
    return a
