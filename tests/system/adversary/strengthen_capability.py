# SPDX-License-Identifier: MIT
"""Weakens capabilities of all rights into all others; only those with fewer rights, of the same generation, come of it."""

from family import claim, frame_name, frame_rights

from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    frame = claim()
    name = frame_name(frame)
    got: u64 = 0
    for rights in range(8):
        full = frame_rights(frame, rights)
        mac = u64(aegis.capability_mint(name, full))
        for other in range(16):
            answer = aegis.capability_weaken(name, full, mac, frame_rights(frame, other))
            got += u64((answer >= 0) != (other & rights == other))
            got += u64(aegis.capability_weaken(name, full, mac, frame_rights(frame, other) + (u64(1) << 32)) >= 0)
            got += u64(aegis.capability_weaken(name, full, mac, frame_rights(frame, other) - (u64(1) << 32)) >= 0)
    for i in range(3, 32):
        got += u64(aegis.capability_mint(name, frame_rights(frame, u64(1) << i)) >= 0)
    return got
