# SPDX-License-Identifier: MIT
"""Loads a handler, and before it is whole and afterwards uses what it is made of in every way, gives up its state, and uses
the handler after its end. Ends with one that is not whole.
"""

from family import SANDBOX, bind_frame, claim_mapped, claim_table, prepare_sandbox

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.aegis.handler_abi import *
from exokernel.exos import aegis, ash
from exokernel.metal import Array, addr, u32, u64

program: Array[u64, 2] = Array[u64, 2]([0xB7, 0x95])
request: HandlerRequest = HandlerRequest()
frames: Array[u64, 1] = Array[u64, 1]()
others: Array[u64, 5] = Array[u64, 5]()


def use(frame: u64) -> u64:
    """How many uses of a frame are allowed."""
    frames[0] = frame
    got = (
        u64(aegis.frame_release(frame) >= 0)
        + u64(aegis.frame_give(frame, 0) >= 0)
        + u64(aegis.frame_pin(frame, 1) >= 0)
    )
    got += u64(aegis.tlb_insert(SANDBOX + 1, frame, Right.READ) >= 0) + u64(aegis.frame_guarantee(frame, 1) >= 0)
    got += u64(aegis.tlb_insert(SANDBOX + 1, frame, Right.EXECUTE) >= 0) + u64(aegis.frame_break(frame) >= 0)
    got += u64(aegis.tlb_node(SANDBOX + 4096, frame) >= 0) + u64(bind_frame(1, frame, Right.READ) >= 0)
    return got + u64(aegis.tlb_insert_batch(SANDBOX + 1, frames[:], Right.WRITE) >= 0)


def main() -> u64:
    prepare_sandbox()
    for i in range(HandlerPart.CODE + 1):
        request.parts[i] = u32(claim_table())
    state = claim_mapped(SANDBOX)
    request.program = u64(addr(program))
    request.slots = 2
    request.budget = 100
    request.code_frames = 1
    request.state_frames = 1
    request.state[0] = u32(state)
    for i in range(work_frames(2)):
        request.work[i] = u32(claim_table())
    handler = ash.handler_load(u64(addr(request)))
    if handler < 0:
        return 100
    # Not whole yet: what is inspected and executed lies in these frames, and not in the application's memory any more.
    program[0] = program[1] = 0
    got = use_all() + u64(ash.handler_attach(0, u64(handler)) != Error.BAD_ARGUMENT)
    for i in range(work_frames(2)):
        got += use(u64(request.work[i]))
    name_others(u64(handler))
    for named in others:
        got += u64(ash.handler_continue(named) >= 0)
    while True:
        more = ash.handler_continue(u64(handler))
        if more != 1:
            break
    got += u64(more != 0) + u64(ash.handler_continue(u64(handler)) != 0) + use_all()
    for i in range(work_frames(2)):
        got += u64(aegis.frame_release(u64(request.work[i])) != 0)
        request.work[i] = u32(claim_table())
    got += u64(aegis.frame_release(state) != Error.IN_USE) + u64(aegis.frame_give(state, 0) != Error.IN_USE)
    aegis.tlb_remove(SANDBOX, 1)
    got += u64(aegis.frame_release(state) != Error.IN_USE) + u64(aegis.tlb_node(SANDBOX + 4096, state) >= 0)
    request.parts[0] = u32(state)
    got += u64(ash.handler_load(u64(addr(request))) != Error.NOT_OWNER)
    for named in others:
        got += (
            u64(ash.handler_remove(named) >= 0)
            + u64(ash.handler_count(named, 0) >= 0)
            + u64(ash.handler_allow(named, 0) >= 0)
        )
    got += u64(ash.handler_attach(0, u64(handler)) >= 0) + u64(ash.handler_attach(512, u64(handler)) >= 0)
    got += u64(ash.handler_allow(u64(handler), 0) >= 0) + u64(ash.handler_allow(u64(handler), 128) >= 0)
    got += u64(ash.handler_count(u64(handler), 9) >= 0)
    got += u64(ash.handler_remove(u64(handler)) != 0) + u64(ash.handler_remove(u64(handler)) >= 0)
    got += u64(ash.handler_count(u64(handler), 0) >= 0) + u64(ash.handler_attach(0, u64(handler)) >= 0)
    return got + u64(aegis.frame_release(state) != 0) + end_with_half()


def use_all() -> u64:
    got: u64 = 0
    for i in range(HandlerPart.CODE + 1):
        got += use(u64(request.parts[i]))
    return got


def name_others(handler: u64) -> None:
    """Names that are not the handler's."""
    others[0] = handler ^ 1
    others[1] = handler ^ 1 << 32
    others[2] = handler | 63
    others[3] = 1 << 63
    others[4] = abi.ANY


def end_with_half() -> u64:
    """Nobody goes on with this one."""
    request.parts[0] = u32(claim_table())
    request.state_frames = 0
    return u64(ash.handler_load(u64(addr(request))) < 0)
