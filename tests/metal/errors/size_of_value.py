# SPDX-License-Identifier: MIT
from exokernel.metal import sizeof, u32


def main(x: u32) -> u32:
    return u32(sizeof(x))
