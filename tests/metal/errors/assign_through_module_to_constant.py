# SPDX-License-Identifier: MIT
from cases import counters

from exokernel.metal import u32


def main(x: u32) -> u32:
    counters.SCALE = x
    return x
