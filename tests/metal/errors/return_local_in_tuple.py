# SPDX-License-Identifier: MIT
from exokernel.metal import Array, Span, u32, u8


def main() -> tuple[Span[u8], u32]:
    a = Array[u8, 4]()
    return a[:2], 1
