# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def main(x: u32) -> u32:
    match 5:
        case 5:
            return 1
    return x
