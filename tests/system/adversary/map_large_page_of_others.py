# SPDX-License-Identifier: MIT
"""Maps every aligned group of 512 frames as one page: none is wholly its own."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    got: u64 = 0
    for first in range(0, aegis.system_page().frames + 4096, abi.LARGE_PAGES):
        got += u64(aegis.tlb_insert_large(0x10000, first, Right.WRITE) >= 0)
    return got
