# SPDX-License-Identifier: MIT
from exokernel.metal import asm, naked, u32


@naked
def helper() -> None:
    x: u32 = 1
    asm("ret")


def main(x: u32) -> u32:
    helper()
    return x
