# SPDX-License-Identifier: MIT
"""Ends a child that is bound in two slots, makes another of the same number, and uses the slot that is left on it; and every
call on who has ended.
"""

from family import (
    IMAGE,
    SANDBOX,
    claim,
    claim_parts,
    claim_table,
    create,
    environment_rights,
    name_of,
    parts,
    prepare_sandbox,
    state_of,
)

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Kind, Right, State
from exokernel.exos import aegis
from exokernel.metal import u64


def attempts(slot: u64) -> u64:
    frame = claim()
    got = u64(aegis.environment_give(slot, SANDBOX, frame, Right.READ) != Error.NOT_PERMITTED)
    got += u64(aegis.environment_node(slot, SANDBOX, frame) != Error.NOT_PERMITTED)
    got += u64(aegis.environment_share(slot, IMAGE, 8, 0, Right.READ) != Error.NOT_PERMITTED)
    got += u64(aegis.environment_start(slot, abi.IMAGE_ADDRESS, 0) != Error.NOT_PERMITTED)
    got += u64(aegis.environment_end(slot, 0) != Error.NOT_PERMITTED)
    return got + u64(aegis.frame_release(frame) != 0)


def main() -> u64:
    prepare_sandbox()
    number = create(0)
    name = name_of(Kind.ENVIRONMENT, number)
    rights = environment_rights(number, Right.WRITE)
    mac = u64(aegis.capability_mint(name, rights))
    got = u64(aegis.bind(1, name, rights, mac) != 0)
    got += u64(aegis.environment_end(0, 0) != 0)
    got += attempts(1)
    got += u64(aegis.capability_mint(name, rights) >= 0)
    while state_of(number) != State.FREE:
        aegis.frame_release(claim_table())
    claim_parts()
    if aegis.environment_create(2, number, parts) >= 0:  # else somebody else was faster
        got += attempts(1) + u64(aegis.bind(3, name, rights, mac) != Error.STALE)
        got += u64(aegis.environment_end(2, 0) != 0)
    return got
