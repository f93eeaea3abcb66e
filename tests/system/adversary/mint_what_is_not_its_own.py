# SPDX-License-Identifier: MIT
"""Mints capabilities of every frame, slice, environment, line, authority, filter and capture that is not its own, with
the present generation of each; and of what there is not.
"""

from family import environment_rights, frame_name, frame_rights, name_of

from exokernel.aegis import abi
from exokernel.aegis.abi import FrameKind, Kind
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    system = aegis.system_page()
    own = aegis.environment_page().identifier
    got: u64 = 0
    for frame in range(system.frames):
        entry = aegis.frame_entry(frame)
        if entry.owner != own or entry.kind != FrameKind.DATA:
            got += u64(aegis.capability_mint(frame_name(frame), frame_rights(frame, 7)) >= 0)
    for i in range(abi.SLICES):
        rights = u64(system.slice_generations[i]) << 32 | 7
        got += u64(system.slice_owners[i] != own and aegis.capability_mint(name_of(Kind.SLICE, i), rights) >= 0)
    for i in range(abi.ENVIRONMENTS):
        got += u64(aegis.capability_mint(name_of(Kind.ENVIRONMENT, i), environment_rights(i, 7)) >= 0)
    for i in range(abi.LINES):
        got += u64(aegis.capability_mint(name_of(Kind.LINE, i), 7) >= 0)
    for i in range(8):
        got += u64(aegis.capability_mint(name_of(Kind.AUTHORITY, i), 7) >= 0)
    for i in range(512):
        got += u64(aegis.capability_mint(name_of(Kind.FILTER, i), 7) >= 0)
    got += u64(aegis.capability_mint(name_of(Kind.CAPTURE, 0), 7) >= 0)
    for kind in range(256):
        for i in range(6, 56):
            number = u64(1) << i
            if kind != Kind.FRAME or number >= system.frames:
                got += u64(aegis.capability_mint(name_of(kind, number), 7) >= 0)
    return got
