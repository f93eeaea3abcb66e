# SPDX-License-Identifier: MIT
"""Loads a handler, then uses what it is made of in every way, gives up its state, and uses the handler after its end."""

from family import SANDBOX, bind_frame, claim_mapped, claim_table, prepare_sandbox

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.aegis.handler_abi import *
from exokernel.exos import aegis, ash
from exokernel.metal import Array, addr, u32, u64

program: Array[u64, 2] = Array[u64, 2]([0xB7, 0x95])
request: HandlerRequest = HandlerRequest()
frames: Array[u64, 1] = Array[u64, 1]()


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
    handler = ash.handler_load(u64(addr(request)))
    if handler < 0:
        return 100
    got: u64 = 0
    for i in range(HandlerPart.CODE + 1):
        got += use(u64(request.parts[i]))
    got += u64(aegis.frame_release(state) != Error.IN_USE) + u64(aegis.frame_give(state, 0) != Error.IN_USE)
    aegis.tlb_remove(SANDBOX, 1)
    got += u64(aegis.frame_release(state) != Error.IN_USE) + u64(aegis.tlb_node(SANDBOX + 4096, state) >= 0)
    request.parts[0] = u32(state)
    got += u64(ash.handler_load(u64(addr(request))) != Error.NOT_OWNER)
    for named in Array[u64, 5]([u64(handler) ^ 1, u64(handler) ^ 1 << 32, u64(handler) | 63, 1 << 63, abi.ANY]):
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
    return got + u64(aegis.frame_release(state) != 0)
