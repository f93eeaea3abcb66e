# SPDX-License-Identifier: MIT
from exokernel.metal import i64, u64


def main(x: u64, y: i64) -> bool:
    return 0 < x < y
