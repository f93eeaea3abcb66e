# SPDX-License-Identifier: MIT
from exokernel.metal import u32, u64


def main(x: u32) -> u32:
    y = u32(1)
    y = u64(2)
    return y
