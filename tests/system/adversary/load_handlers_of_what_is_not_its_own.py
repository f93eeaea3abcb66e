# SPDX-License-Identifier: MIT
"""Loads handlers in frames of others, of the kernel's, in frames in use, twice the same; from the kernel's memory; with
counts and budgets out of range.
"""

from family import SANDBOX, bind_frame, claim, claim_mapped, claim_table, prepare_sandbox

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, FrameKind, Right
from exokernel.aegis.handler_abi import *
from exokernel.exos import aegis, ash
from exokernel.metal import Array, addr, i64, u32, u64

program: Array[u64, 2] = Array[u64, 2]([0xB7, 0x95])
request: HandlerRequest = HandlerRequest()
COUNT = HandlerPart.CODE + 1
WORK = 3
own: Array[u32, COUNT + WORK] = Array[u32, COUNT + WORK]()


def load() -> i64:
    return ash.handler_load(u64(addr(request)))


def load_whole() -> i64:
    """What comes of it in the end."""
    handler = load()
    more: i64 = 1
    while handler >= 0 and more == 1:
        more = ash.handler_continue(u64(handler))
    return min(handler, more)


def give_own() -> None:
    for i in range(COUNT):
        request.parts[i] = own[i]
    for i in range(WORK):
        request.work[i] = own[COUNT + i]


def refused(frame: u64, place: u64) -> u64:
    """1 if a handler is loaded with this frame as one of its parts, or another frame changes."""
    give_own()
    if place < COUNT:
        request.parts[place] = u32(frame)
    else:
        request.work[place - COUNT] = u32(frame)
    got = u64(load() != Error.NOT_OWNER)
    for i in range(COUNT + WORK):
        got += u64(aegis.frame_entry(u64(own[i])).kind != FrameKind.SPARE)
    return got


def main() -> u64:
    prepare_sandbox()
    for i in range(COUNT + WORK):
        own[i] = u32(claim_table())
    request.program = u64(addr(program))
    request.slots = 2
    request.budget = 100
    request.code_frames = 1
    mapped, bound, pinned = claim_mapped(SANDBOX), claim(), claim()
    bind_frame(0, bound, Right.READ)
    aegis.frame_pin(pinned, 1)
    got: u64 = 0
    for place in range(COUNT + WORK):
        got += refused(mapped, place) + refused(bound, place) + refused(pinned, place)
        got += refused(0, place) + refused(0x200, place) + refused(0xFFFFFFFF, place)
        got += refused(u64(own[(place + 1) % (COUNT + WORK)]), place)
        for frame in range(0x100, 0x4000, 97):
            if aegis.frame_entry(frame).owner != aegis.environment_page().identifier:
                got += refused(frame, place)
    give_own()
    request.state_frames = 2
    request.state[0] = u32(mapped)
    for frame in Array[u64, 4]([u64(own[0]), u64(own[COUNT + 1]), 0x200, 0xFFFFFFFF]):
        request.state[1] = u32(frame)
        got += u64(load() != Error.NOT_OWNER) + u64(aegis.frame_entry(mapped).pins != 0)
    request.state_frames = 0
    for address in Array[u64, 6](
        [0, 0xFFFFFFFF80200000, 0xFFFF800000200000, 0xFFFF808000001000, abi.USER_LIMIT - 8, 1 << 63]
    ):
        got += u64(ash.handler_load(address) != Error.BAD_ADDRESS)
        request.program = address
        got += u64(load() != Error.BAD_ADDRESS)
    request.program = u64(addr(program))
    for slots in Array[u32, 4]([1025, 0xFFFF, 0x20000001, 0xFFFFFFFF]):
        request.slots = slots
        got += u64(load() != Error.REFUSED)
    request.slots = 2
    request.code_frames = 0
    got += u64(load_whole() != Error.REFUSED)
    request.code_frames = 2  # far from each other
    request.parts[COUNT] = request.parts[COUNT - 1] ^ abi.LARGE_PAGES
    got += u64(load() != Error.BAD_ARGUMENT)
    for count in Array[u32, 3]([17, 0x10000, 0xFFFFFFFF]):
        request.code_frames = count
        got += u64(load() != Error.BAD_ARGUMENT)
        request.code_frames = 1
        request.state_frames = count
        got += u64(load() != Error.BAD_ARGUMENT)
        request.state_frames = 0
    request.budget = HANDLER_BUDGET + 1
    got += u64(load() != Error.BAD_ARGUMENT)
    request.budget = 1
    got += u64(load_whole() != Error.REFUSED)
    for i in range(COUNT + WORK):
        got += u64(aegis.frame_release(u64(own[i])) != 0)
    return got
