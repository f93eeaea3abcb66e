# SPDX-License-Identifier: MIT
from exokernel.metal import Span, u32, u8


def helper(data: Span[u8]) -> u32:
    return 0


def main(x: u32) -> u32:
    return helper(b"abc")
