# SPDX-License-Identifier: MIT
"""Mints capabilities of frames, lets a handler be made of them, also one that is refused, and binds them: it could write the
code that the kernel executes. Afterwards too: a table made of such a frame would be bound.
"""

from family import SANDBOX, claim, claim_table, frame_name, frame_rights, prepare_sandbox

from exokernel.aegis.abi import Error, Right
from exokernel.aegis.handler_abi import *
from exokernel.exos import aegis, ash
from exokernel.metal import Array, addr, u32, u64

ALL = Right.READ | Right.WRITE
COUNT = HandlerPart.CODE + 1

program: Array[u64, 2] = Array[u64, 2]([0xB7, 0x95])
request: HandlerRequest = HandlerRequest()
rights: Array[u64, COUNT] = Array[u64, COUNT]()
macs: Array[u64, COUNT] = Array[u64, COUNT]()


def mint() -> None:
    for i in range(COUNT):
        frame = claim()
        request.parts[i] = u32(frame)
        rights[i] = frame_rights(frame, ALL)
        macs[i] = u64(aegis.capability_mint(frame_name(frame), rights[i]))


def attempts() -> u64:
    """How many of the capabilities still are of use."""
    got: u64 = 0
    for i in range(COUNT):
        got += u64(aegis.bind(0, frame_name(u64(request.parts[i])), rights[i], macs[i]) != Error.STALE)
        got += u64(aegis.tlb_insert_bound(SANDBOX + 1, 0, Right.WRITE) >= 0)
        aegis.unbind(0)
    return got


def main() -> u64:
    prepare_sandbox()
    request.program = u64(addr(program))
    request.slots = 2
    request.budget = 100
    request.code_frames = 1
    for i in range(work_frames(2)):
        request.work[i] = u32(claim_table())
    mint()
    handler = ash.handler_load(u64(addr(request)))
    if handler < 0:
        return 100
    got = attempts()
    while ash.handler_continue(u64(handler)) == 1:
        got += attempts()
    got += attempts()
    got += u64(ash.handler_remove(u64(handler)) != 0)
    got += attempts()
    mint()
    request.state_frames = 1
    request.state[0] = request.parts[0]
    got += u64(ash.handler_load(u64(addr(request))) != Error.NOT_OWNER)
    return got + attempts()
