# SPDX-License-Identifier: MIT
from exokernel.metal import addr, u32


def main(x: u32) -> u32:
    p = addr(x + 1)
    return p[0]
