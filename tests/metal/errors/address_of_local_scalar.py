# SPDX-License-Identifier: MIT
from exokernel.metal import addr, u32


def main(x: u32) -> u32:
    y = x
    p = addr(y)
    return p[0]
