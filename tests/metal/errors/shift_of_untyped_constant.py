# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def main(x: u32) -> u32:
    return 1 << x
