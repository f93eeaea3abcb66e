# SPDX-License-Identifier: MIT
"""Binds capabilities of frames that it has released, claimed anew, made a node of, or given away since."""

from family import SANDBOX, claim, frame_name, frame_rights, prepare_sandbox

from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import u64

ALL = Right.READ | Right.WRITE


def attempts(name: u64, rights: u64, mac: u64) -> u64:
    """Also with the present generation, for which there is no MAC."""
    got = u64(aegis.bind(0, name, rights, mac) != Error.STALE)
    present = frame_rights(name & 0xFFFFFFFF, ALL)
    return got + u64(aegis.bind(0, name, present, mac) != Error.FORGED) + u64(present == rights)


def main() -> u64:
    prepare_sandbox()
    frame = claim()
    name = frame_name(frame)
    rights = frame_rights(frame, ALL)
    mac = u64(aegis.capability_mint(name, rights))
    got = u64(aegis.frame_release(frame) != 0)
    got += attempts(name, rights, mac)
    if aegis.frame_claim(frame) >= 0:  # else somebody else has it
        got += attempts(name, rights, mac)
        rights = frame_rights(frame, ALL)
        mac = u64(aegis.capability_mint(name, rights))
        got += u64(aegis.tlb_node(SANDBOX + 512, frame) != 0)
        got += attempts(name, rights, mac)
    frame = claim()
    rights = frame_rights(frame, ALL)
    mac = u64(aegis.capability_mint(frame_name(frame), rights))
    got += u64(aegis.frame_give(frame, 0) != 0)
    return got + attempts(frame_name(frame), rights, mac)
