# SPDX-License-Identifier: MIT
"""The calls on handlers: load, attach, allow, count, remove. A handler is inspected and translated here, once, by pure
functions; then it is its owner's, in frames of the owner's, until that one removes it or ends.

Nothing here may make a program run that was not inspected, nor one whose code anybody could still write.
"""

from exokernel.aegis import capability, environment, frames, handlers, receiving
from exokernel.aegis.abi import *
from exokernel.aegis.ebpf import *
from exokernel.aegis.handler_abi import *
from exokernel.aegis.handlers import CODE, NOBODY, WINDOW, Handler, space_of
from exokernel.aegis.inspection import Inspection, Profile, Verdict, inspect
from exokernel.aegis.translation import Translation, translate
from exokernel.aegis.user_memory import UserAddress, copy_in
from exokernel.machine import paging
from exokernel.metal import *

CODE_BYTES = HANDLER_CODE_FRAMES * paging.PAGE

program: Array[u64, KERNEL_LIMIT] = Array[u64, KERNEL_LIMIT]()
request: HandlerRequest = HandlerRequest()
verdict: Verdict = Verdict()
work: Inspection = Inspection()
translation: Translation = Translation()
space: Array[u8, CODE_BYTES] = Array[u8, CODE_BYTES]()


def load(address: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `handler_load`."""
    caller = environment.current().identifier
    if not copy_in(Span[u8](Ptr[u8](u64(addr(request))), sizeof(HandlerRequest)), UserAddress(address)):
        return Error.BAD_ADDRESS
    slots = u64(request.slots)
    if request.code_frames > HANDLER_CODE_FRAMES or request.state_frames > HANDLER_STATE_FRAMES:
        return Error.BAD_ARGUMENT
    if request.budget > HANDLER_BUDGET:
        return Error.BAD_ARGUMENT
    number: u64 = 0
    while number < HANDLERS and handlers.table[number].owner != NOBODY:
        number += 1
    if number == HANDLERS:
        return Error.NO_ROOM
    if slots > KERNEL_LIMIT:
        return _refuse(caller, Reason.LONG_FOR_KERNEL, KERNEL_LIMIT)
    if not copy_in(Span[u8](Ptr[u8](u64(addr(program))), slots * 8), UserAddress(request.program)):
        return Error.BAD_ADDRESS
    inspect(program[:slots], Profile.PACKET, work, verdict)
    if verdict.reason != 0:
        return _refuse(caller, verdict.reason, verdict.place)
    loops = verdict.loops != 0
    if not loops and verdict.cost > request.budget:
        return _refuse(caller, Reason.COST, 0)
    translate(program[:slots], work, loops, space[:], translation)
    needed = (translation.length + paging.PAGE - 1) // paging.PAGE
    if translation.length == 0 or needed > request.code_frames:
        return _refuse(caller, Reason.NO_ROOM, u32(slots))
    error = _take(caller, HandlerPart.CODE + needed)
    if error != 0:
        return error
    _fill(handlers.table[number], caller, number, needed)
    handlers.map_window(number)
    handlers.loaded += 1
    return i64(u64(handlers.table[number].generation) << 32) | i64(number)


def _refuse(caller: u64, reason: u32, place: u32) -> i64:
    handlers.note(caller, NOWHERE, reason, place)
    return Error.REFUSED


def _take(caller: u64, parts: u64) -> i64:
    """Makes tables of the frames of the request, whose capabilities are stale from here on, and pins those of the state; all
    or none.
    """
    for i in range(u64(request.state_frames)):
        if not frames.is_usable(u64(request.state[i]), caller):
            return Error.NOT_OWNER
    for i in range(parts):
        frame = u64(request.parts[i])
        if not frames.can_become_table(frame, caller):
            for j in range(i):
                frames.move(u64(request.parts[j]), caller, FrameKind.SPARE)
            return Error.NOT_OWNER
        frames.move(frame, caller, FrameKind.NODE)
    for i in range(u64(request.state_frames)):
        entry = frames.entry(u64(request.state[i]))
        if entry.kind != FrameKind.DATA:  # it was given as a part too
            for j in range(i):
                frames.entry(u64(request.state[j])).pins -= 1
            for j in range(parts):
                frames.move(u64(request.parts[j]), caller, FrameKind.SPARE)
            return Error.NOT_OWNER
        entry.pins += 1
    return 0


def _fill(handler: Handler, caller: u64, number: u64, pages: u64) -> None:
    """Makes a handler of the request and its translation."""
    slots = u64(request.slots)
    handler.owner = caller
    handler.budget = request.budget
    begin = space_of(number) + CODE
    handler.window = space_of(number) + WINDOW
    handler.enter = begin + translation.enter
    handler.abort = begin + translation.abort
    handler.code_end = begin + translation.length
    handler.slots = slots
    handler.code_frames = pages
    handler.state_bytes = u64(request.state_frames) * paging.PAGE
    handler.may_wake = u64(1) << caller
    handler.parts.copy_from(request.parts)
    handler.state.copy_from(request.state)
    handler.counts.fill(0)
    handler.packet_end = paging.direct(u64(request.parts[HandlerPart.PACKET] + 1) * paging.PAGE)
    frames.clear(u64(request.parts[HandlerPart.PACKET]))
    frames.clear(u64(request.parts[HandlerPart.FRAMES]))
    for i in range(pages):
        code = Span[u8](Ptr[u8](paging.direct(u64(request.parts[HandlerPart.CODE + i]) * paging.PAGE)), paging.PAGE)
        code.copy_from(space[i * paging.PAGE : (i + 1) * paging.PAGE])
    places = Ptr[u16](paging.direct(u64(request.parts[HandlerPart.PLACES]) * paging.PAGE))
    handler.asks = 0
    handler.frame_bytes = 0
    for slot in range(slots):
        places[slot] = u16(translation.places[slot])
        if work.slots[slot].marks & 1:  # the second half of a wide one
            continue
        instruction = Instruction(program[slot])
        if instruction.calls_helper():
            handler.asks |= u64(1) << helper_index(instruction.unsigned_immediate)
        if instruction.source == FRAME_POINTER or instruction.destination == FRAME_POINTER:
            handler.frame_bytes = u64(work.slots[0].depth + 1) * FRAME_BYTES
    handler.special = handler.asks != 0 or handler.frame_bytes != 0


def own(named: u64) -> u64:
    """The number of the caller's handler that `handler_load` called so; HANDLERS if it has none of this name."""
    number = named & 0xFFFF_FFFF
    if number >= HANDLERS or handlers.table[number].owner != environment.current().identifier:
        return HANDLERS
    return number if handlers.table[number].generation == named >> 32 else u64(HANDLERS)


def attach(filter: u64, named: u64, third: u64, fourth: u64) -> i64:
    """The call `handler_attach`."""
    number: u64 = handlers.NONE
    if named != ANY:
        number = own(named)
        if number == HANDLERS:
            return Error.NOT_OWNER
    error = receiving.own_error(filter, environment.current().identifier)
    if error == 0:
        handlers.attached[filter & 0xFFFF_FFFF] = u8(number)
    return error


def allow(named: u64, slot: u64, third: u64, fourth: u64) -> i64:
    """The call `handler_allow`."""
    number = own(named)
    if number == HANDLERS:
        return Error.NOT_OWNER
    if slot >= BINDINGS:
        return Error.BAD_ARGUMENT
    target = capability.bound(slot, Kind.ENVIRONMENT)
    if target == capability.UNBOUND or not environment.exists(target):
        return Error.NOT_PERMITTED
    handlers.table[number].may_wake |= u64(1) << target
    return 0


def count(named: u64, what: u64, third: u64, fourth: u64) -> i64:
    """The call `handler_count`."""
    number = own(named)
    if number == HANDLERS:
        return Error.NOT_OWNER
    if what >= len(HandlerCount):
        return Error.BAD_ARGUMENT
    return i64(handlers.table[number].counts[what])


def remove(named: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `handler_remove`."""
    number = own(named)
    if number == HANDLERS:
        return Error.NOT_OWNER
    _unload(number)
    return 0


def _unload(number: u64) -> None:
    """Gives the frames back to the owner: those that the kernel used as spare ones."""
    handler = handlers.table[number]
    handlers.detach(number)
    handlers.unmap_window(number)
    for i in range(HandlerPart.CODE + handler.code_frames):
        frames.move(u64(handler.parts[i]), handler.owner, FrameKind.SPARE)
    for i in range(handler.state_bytes // paging.PAGE):
        frames.entry(u64(handler.state[i])).pins -= 1
    handlers.loaded -= 1
    handler.owner = NOBODY
    handler.generation = (handler.generation + 1) & 0x7FFF_FFFF


def release(identifier: u64) -> None:
    """An environment has ended: so have its handlers, and nobody's may wake it."""
    if handlers.loaded == 0:
        return
    for number in range(HANDLERS):
        if handlers.table[number].owner == identifier:
            _unload(number)
    handlers.forget_environment(identifier)
