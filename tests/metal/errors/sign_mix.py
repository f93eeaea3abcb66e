# SPDX-License-Identifier: MIT
from exokernel.metal import i32, u32


def main(x: u32, y: i32) -> u32:
    return x + y
