# SPDX-License-Identifier: MIT
"""No attack: gives the frames and slices back that it is asked for, in time; then it must not lose any other, whatever the
attackers beside it do.
"""

from family import HOARD, ORDERED, await_order, hoard, hoarded, later

from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import u64

REVOKED = True


def main() -> u64:
    hoard()
    await_order()
    own = aegis.environment_page().identifier
    given: u64 = 0
    for frame in range(aegis.system_page().frames):  # first what others gave us meanwhile, as it may be
        if given < ORDERED:
            given += u64(aegis.frame_release(frame) == 0)
    slices: u64 = 0
    for position in range(64):
        if aegis.system_page().slice_owners[position] == own:
            slices += 1
            if slices > 1:
                aegis.slice_release(position)
    until = later(1500)
    while read_timestamp() < until:
        pass
    return u64(given != ORDERED) + aegis.environment_page().lost_count + u64(hoarded[HOARD - 1] == 0)
