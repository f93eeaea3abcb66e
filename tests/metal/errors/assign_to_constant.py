# SPDX-License-Identifier: MIT
from exokernel.metal import u32

LIMIT = 5


def main(x: u32) -> u32:
    global LIMIT
    LIMIT = x
    return x
