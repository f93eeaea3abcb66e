# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def main(x: u32) -> u32:
    return u32(abs(x == 1))
