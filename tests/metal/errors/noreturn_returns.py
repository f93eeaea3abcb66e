# SPDX-License-Identifier: MIT
from exokernel.metal import noreturn, trap, u32


@noreturn
def helper(x: u32) -> None:
    if x:
        trap()


def main(x: u32) -> u32:
    helper(x)
    return x
