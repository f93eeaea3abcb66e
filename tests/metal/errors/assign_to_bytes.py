# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def main(x: u32) -> u32:
    data = b"abc"
    data[0] = 1
    return x
