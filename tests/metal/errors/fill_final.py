# SPDX-License-Identifier: MIT
from typing import Final

from exokernel.metal import Array, u32

TABLE: Final[Array[u32, 2]] = Array[u32, 2]([1, 2])


def main(x: u32) -> u32:
    TABLE.fill(1)
    return x
