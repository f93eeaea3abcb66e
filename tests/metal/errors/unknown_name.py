# SPDX-License-Identifier: MIT
from exokernel.metal import u32

counter: u32 = 0


def main(x: u32) -> u32:
    return coutner + x
