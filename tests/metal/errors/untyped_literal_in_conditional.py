# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def main(x: u32) -> u32:
    y = 1 if x else 2
    return y
