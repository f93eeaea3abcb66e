# SPDX-License-Identifier: MIT
"""Revokes by every slot: by an empty one, one that binds a frame, and one of a child's."""

from family import bind_frame, claim, create, name_of

from exokernel.aegis import abi
from exokernel.aegis.abi import Authority, Error, Kind, Right
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    bind_frame(0, claim(), Right.READ | Right.WRITE)
    got = u64(create(1) == abi.ENVIRONMENTS)
    for slot in range(abi.BINDINGS + 8):
        for target in range(4):
            got += u64(aegis.revoke(slot, target, 1, 0) != Error.NOT_PERMITTED)
    for authority in range(u64(len(Authority))):
        name = name_of(Kind.AUTHORITY, authority)
        for i in range(64):
            got += u64(aegis.bind(2, name, Right.WRITE, u64(1) << i) != Error.FORGED)
    return got + u64(aegis.environment_end(1, 0) != 0)
