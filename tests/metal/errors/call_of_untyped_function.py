# SPDX-License-Identifier: MIT
from exokernel.metal import u32

helper = len([]).bit_length


def main(x: u32) -> u32:
    return helper(x)
