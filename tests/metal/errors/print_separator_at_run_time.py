# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def main(x: u32, s: str) -> u32:
    print(x, sep=s)
    return x
