# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def main(x: u32) -> u32:
    def inner(y: u32) -> u32:
        return y

    return inner(x)
