# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def main(x: u32) -> u32:
    try:
        x += 1
    except ValueError:
        pass
    return x
