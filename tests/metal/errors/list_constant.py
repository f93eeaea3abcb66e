# SPDX-License-Identifier: MIT
from exokernel.metal import u32

VALUES = [1, 2]


def main(x: u32) -> u32:
    return VALUES + x
