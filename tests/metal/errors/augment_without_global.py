# SPDX-License-Identifier: MIT
from exokernel.metal import u32, u64

count: u64 = 0


def main(x: u32) -> u32:
    count += 1
    return u32(count)
