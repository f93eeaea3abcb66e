# SPDX-License-Identifier: MIT
"""Fills its save area and all frames with the kernel's segments, addresses and raised flags, over and over."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Ptr, offsetof, u64, volatile_store


def main() -> None:
    page = Ptr[u64](abi.ENVIRONMENT_ADDRESS)
    until = read_timestamp() + aegis.system_page().timestamp_frequency // 20
    turn: u64 = 0
    while read_timestamp() < until:
        turn += 1
        for i in range(offsetof(abi.EnvironmentPage, "saved") // 8, abi.PAGE_BYTES // 8):
            volatile_store(page + i, turn << 32 | 0x3008 if turn & 1 else 0xFFFFFFFF80200000)
