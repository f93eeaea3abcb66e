# SPDX-License-Identifier: MIT
"""Asks the kernel to print its own memory."""

from exokernel.aegis.abi import Call
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    got: u64 = 0
    for i in range(1024):
        got += u64(aegis.call2(Call.CONSOLE_WRITE, 0xFFFFFFFF80200000 + i * 4096, 1) >= 0)
        got += u64(aegis.call2(Call.CONSOLE_WRITE, 0xFFFF800000000000 + i * 4096, 1) >= 0)
        got += u64(aegis.call2(Call.CONSOLE_WRITE, 0x3FC00000 + i * 4096, 1) >= 0)
    return got
