# SPDX-License-Identifier: MIT
from exokernel.metal import atomic_add, u32


def main(x: u32) -> u32:
    return atomic_add(x, 1)
