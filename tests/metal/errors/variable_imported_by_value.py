# SPDX-License-Identifier: MIT
from cases.counters import count

from exokernel.metal import u32


def main(x: u32) -> u32:
    return u32(count) + x
