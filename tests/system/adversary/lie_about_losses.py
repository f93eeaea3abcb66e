# SPDX-License-Identifier: MIT
"""Fills all that its page says of orders and losses with nonsense, over and over, while it is revoked."""

from family import await_order, hoard, later

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import u64

REVOKED = True
NONSENSE = (0, 1, 31, 32, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFF800000200000, 0xFFFFFFFFFFFFFFFE)


def main() -> u64:
    hoard()
    await_order()
    page = aegis.environment_page()
    until = later(1500)
    value: u64 = 0xFFFFFFFFFFFFFFFF
    while read_timestamp() < until:
        for i in range(u64(len(page.wanted))):
            page.wanted[i] = value
            page.wanted_until[i] = ~value
        page.lost_count = value
        for i in range(abi.LOST):
            page.lost[i] = value
        value = value * 0x9E3779B97F4A7C15 + 0xFFFFFFFFFFFFFFE0
    return 0
