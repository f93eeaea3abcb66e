# SPDX-License-Identifier: MIT
"""Binds and weakens a genuine capability with each bit of each of its words turned over."""

from family import claim, frame_name, frame_rights

from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    frame = claim()
    name = frame_name(frame)
    rights = frame_rights(frame, Right.READ)
    mac = u64(aegis.capability_mint(name, rights))
    got: u64 = 0
    for i in range(64):
        bit = u64(1) << i
        got += u64(aegis.bind(0, name ^ bit, rights, mac) != Error.FORGED)
        got += u64(aegis.bind(0, name, rights ^ bit, mac) != Error.FORGED)
        got += u64(aegis.bind(0, name, rights, mac ^ bit) != Error.FORGED)
        got += u64(aegis.capability_weaken(name ^ bit, rights, mac, rights) != Error.FORGED)
        got += u64(aegis.capability_weaken(name, rights ^ bit, mac, rights) != Error.FORGED)
        got += u64(aegis.capability_weaken(name, rights, mac ^ bit, rights) != Error.FORGED)
    return got + u64(aegis.bind(0, name, rights, mac) != 0)
