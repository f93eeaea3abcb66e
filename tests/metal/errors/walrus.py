# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def main(x: u32) -> u32:
    if (y := x + 1) > 3:
        return y
    return x
