# SPDX-License-Identifier: MIT
"""Asks the kernel to print from memory that ends in the middle, and where addresses wrap."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Call, Error
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    got: u64 = 0
    for length in range(9, 4097):
        got += u64(aegis.call2(Call.CONSOLE_WRITE, abi.STACK_TOP - 8, length) != Error.BAD_ADDRESS)
        got += u64(aegis.call2(Call.CONSOLE_WRITE, 0xFFFFFFFFFFFFFFF8, length) != Error.BAD_ADDRESS)
    return got
