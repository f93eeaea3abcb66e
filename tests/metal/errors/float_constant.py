# SPDX-License-Identifier: MIT
import math

from exokernel.metal import u32


def main(x: u32) -> u32:
    return x + math.pi
