# SPDX-License-Identifier: MIT
from exokernel.metal import Array, Span, u8


def main() -> Span[u8]:
    a = Array[u8, 4]()
    return a[1:]
