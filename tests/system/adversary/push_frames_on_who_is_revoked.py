# SPDX-License-Identifier: MIT
"""While others must give frames back, gives them its own, so that they have too many and lose theirs."""

from family import HOARD, await_order, hoard, hoarded, later

from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp

REVOKED = True


def main() -> None:
    hoard()
    await_order()
    until = later(1500)
    while read_timestamp() < until:
        for i in range(HOARD):
            aegis.frame_give(hoarded[i], i % 16)
