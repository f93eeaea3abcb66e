# SPDX-License-Identifier: MIT
"""Guarantees, and pins, all that it has; what is guaranteed stays, and it is not more than what is allowed."""

from family import HOARD, await_order, hoard, hoarded, later

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import u64

REVOKED = True


def main() -> u64:
    hoard()
    guaranteed: u64 = 0
    pinned: u64 = 0
    for _ in range(2):
        for i in range(HOARD):
            guaranteed += u64(aegis.frame_guarantee(hoarded[i], 1) == 0 and i >= abi.GUARANTEED_FRAMES)
            pinned += u64(aegis.frame_pin(hoarded[i], 1) == 0 and i >= abi.PINNED_FRAMES)
    await_order()
    until = later(1500)
    while read_timestamp() < until:
        for i in range(HOARD):
            aegis.frame_guarantee(hoarded[i], 1)
    got = guaranteed + pinned
    for i in range(abi.GUARANTEED_FRAMES):
        got += u64(aegis.frame_entry(hoarded[i]).owner != aegis.environment_page().identifier)
    return got
