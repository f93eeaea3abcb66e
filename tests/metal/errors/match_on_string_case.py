# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def main(x: u32) -> u32:
    match x:
        case "a":
            return 1
    return 2
