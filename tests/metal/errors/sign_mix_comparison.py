# SPDX-License-Identifier: MIT
from exokernel.metal import i32, u64


def main(x: u64, y: i32) -> bool:
    return x < y
