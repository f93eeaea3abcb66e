# SPDX-License-Identifier: MIT
"""Asked for frames, releases, breaks and gives all those of others."""

from family import await_order, hoard, later

from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import u64

REVOKED = True


def main() -> u64:
    hoard()
    await_order()
    own = aegis.environment_page().identifier
    got: u64 = 0
    until = later(1500)
    while read_timestamp() < until:
        for frame in range(aegis.system_page().frames):
            if aegis.frame_entry(frame).owner != own:
                got += u64(aegis.frame_release(frame) == 0)
                got += u64(aegis.frame_break(frame) == 0)
                got += u64(aegis.frame_give(frame, 0) == 0)
    return got
