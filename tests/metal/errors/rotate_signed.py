# SPDX-License-Identifier: MIT
from exokernel.metal import i32, rotate_left, u32


def main(i: i32) -> u32:
    return u32(rotate_left(i, 1))
