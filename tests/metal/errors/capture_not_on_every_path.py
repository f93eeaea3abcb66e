# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def main(x: u32) -> u32:
    match x:
        case 1:
            pass
        case y:
            pass
    return y
