# SPDX-License-Identifier: MIT
"""The calls on handlers: load, continue, attach, allow, count, remove. A handler is inspected and translated here, once, by
pure functions; then it is its owner's, in frames of the owner's, until that one removes it or ends.

Both go in pieces, one for each call of the owner's. What they need meanwhile, the copy of the program included, lies in the
frames that were given for it and appears in the handler's space: so environments that load at once have nothing in common,
and nobody can write to it. One that never goes on keeps its own frames busy; when it ends they are given back as those of
any handler.

Nothing here may make a program run that was not inspected, nor one whose code anybody could still write.
"""

from exokernel.aegis import capability, environment, frames, handlers, inspection, receiving, translation
from exokernel.aegis.abi import *
from exokernel.aegis.ebpf import *
from exokernel.aegis.filter import FILTERS
from exokernel.aegis.handler_abi import *
from exokernel.aegis.handlers import CODE, NOBODY, WINDOW, space_of
from exokernel.aegis.inspection import Inspection, Profile, Slot, Stage, Verdict
from exokernel.aegis.translation import Translation
from exokernel.aegis.user_memory import UserAddress, copy_in
from exokernel.machine import paging
from exokernel.metal import *

PIECE = 512  # steps of inspection or translation, in one call
# Where in a handler's space something lies until it is whole.
PROGRAM = 0x40000
WORK = 0x50000
TRANSLATION = 0x70000


@struct
class Work:
    """What its inspection needs."""

    verdict: Verdict
    inspection: Inspection


request: HandlerRequest = HandlerRequest()
held: Array[u16, ENVIRONMENTS] = Array[u16, ENVIRONMENTS]()  # handlers that each environment has


@inline
def program_of(number: u64) -> Span[u64]:
    return Span[u64](Ptr[u64](space_of(number) + PROGRAM), handlers.table.entries[number].slots)


@inline
def work_of(number: u64) -> Work:
    return Ptr[Work](space_of(number) + WORK)[0]


@inline
def translation_of(number: u64) -> Translation:
    return Ptr[Translation](space_of(number) + TRANSLATION)[0]


# ---- loading


def load(address: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `handler_load`."""
    caller = environment.current().identifier
    if not copy_in(Span[u8](Ptr[u8](u64(addr(request))), sizeof(HandlerRequest)), UserAddress(address)):
        return Error.BAD_ADDRESS
    if request.code_frames > HANDLER_CODE_FRAMES or request.state_frames > HANDLER_STATE_FRAMES:
        return Error.BAD_ARGUMENT
    if request.budget > HANDLER_BUDGET:
        return Error.BAD_ARGUMENT
    for i in range(1, u64(request.code_frames)):
        first = request.parts[HandlerPart.CODE] // paging.LARGE_FRAMES
        if request.parts[HandlerPart.CODE + i] // paging.LARGE_FRAMES != first:
            return Error.BAD_ARGUMENT
    if request.slots > KERNEL_LIMIT:
        return _refuse(caller, Reason.LONG_FOR_KERNEL, KERNEL_LIMIT)
    number: u64 = 0
    while number < HANDLERS and handlers.table.entries[number].owner != NOBODY:
        number += 1
    if number == HANDLERS or not receiving.may_have(held, caller, HANDLERS_EACH, HANDLERS):
        return Error.NO_ROOM
    handler = handlers.table.entries[number]
    _fill(handler, caller, number)
    error = _take(handler, caller)
    if error != 0:
        return error
    handler.owner = caller
    held[caller] += 1
    handlers.loaded += 1
    _show_work(number)
    copy = Span[u8](Ptr[u8](space_of(number) + PROGRAM), handler.slots * 8)
    if not copy_in(copy, UserAddress(request.program)):
        _unload(number)
        return Error.BAD_ADDRESS
    inspection.begin(work_of(number).inspection, work_of(number).verdict)
    return i64(u64(handler.generation) << 32) | i64(number)


def go_on(named: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `handler_continue`."""
    number = own(named)
    if number == HANDLERS:
        return Error.NOT_OWNER
    handler = handlers.table.entries[number]
    if is_whole(handler):
        return 0
    program = program_of(number)
    work = work_of(number)
    whole = translation_of(number)
    if work.inspection.stage != Stage.DONE:
        if not inspection.go_on(program, Profile.PACKET, work.inspection, work.verdict, PIECE):
            return 1
        reason = work.verdict.reason
        place = work.verdict.place
        if reason == 0 and work.verdict.loops == 0 and work.verdict.cost > handler.budget:
            reason = Reason.COST
            place = 0
        if reason != 0:
            return _refuse_loaded(number, reason, place)
        translation.begin(whole)
        return 1
    space = Span[u8](Ptr[u8](space_of(number) + CODE), handler.code_frames * paging.PAGE)
    if not translation.go_on(program, work.inspection, work.verdict.loops != 0, space, whole, PIECE):
        return 1
    if whole.length == 0:
        return _refuse_loaded(number, Reason.NO_ROOM, u32(handler.slots))
    _finish(number)
    return 0


@inline
def is_whole(handler: Handler) -> bool:
    """Whether it can run: it has been inspected and translated."""
    return handler.code_end != 0


def _refuse(caller: u64, reason: u32, place: u32) -> i64:
    handlers.note(caller, NOWHERE, reason, place)
    return Error.REFUSED


def _refuse_loaded(number: u64, reason: u32, place: u32) -> i64:
    caller = handlers.table.entries[number].owner
    _unload(number)
    return _refuse(caller, reason, place)


def _pages(bytes: u64) -> u64:
    return (bytes + paging.PAGE - 1) // paging.PAGE


def _fill(handler: Handler, caller: u64, number: u64) -> None:
    """What the request says of a handler that is to be its owner's."""
    slots = u64(request.slots)
    handler.budget = request.budget
    handler.window = space_of(number) + WINDOW
    handler.code_end = 0
    handler.slots = slots
    handler.code_frames = u64(request.code_frames)
    handler.state_bytes = u64(request.state_frames) * paging.PAGE
    handler.may_wake = u64(1) << caller
    handler.parts.copy_from(request.parts)
    handler.state.copy_from(request.state)
    handler.work.copy_from(request.work)
    handler.work_frames = _program_frames(slots) + _inspection_frames(slots) + _translation_frames(slots)
    handler.counts.fill(0)
    handler.packet_end = paging.direct(u64(request.parts[HandlerPart.PACKET] + 1) * paging.PAGE)


def _program_frames(slots: u64) -> u64:
    return _pages(8 * slots)


def _inspection_frames(slots: u64) -> u64:
    return _pages(offsetof(Work, "inspection") + offsetof(Inspection, "slots") + slots * sizeof(Slot))


def _translation_frames(slots: u64) -> u64:
    return _pages(offsetof(Translation, "places") + 4 * (slots + 1))


def _show_work(number: u64) -> None:
    """Makes what loading needs appear in a handler's space: what will be its code, too, to be written."""
    handler = handlers.table.entries[number]
    handlers.begin_window(number)
    tables = u64(handler.parts[HandlerPart.TABLE])
    for i in range(handler.code_frames):
        handlers.map_page(tables, CODE + i * paging.PAGE, u64(handler.parts[HandlerPart.CODE + i]), True, True)
    program = _program_frames(handler.slots)
    inspecting = program + _inspection_frames(handler.slots)
    for i in range(handler.work_frames):
        place = PROGRAM + i * paging.PAGE
        if i >= inspecting:
            place = TRANSLATION + (i - inspecting) * paging.PAGE
        elif i >= program:
            place = WORK + (i - program) * paging.PAGE
        handlers.map_page(tables, place, u64(handler.work[i]), True, True)


@noinline
def _finish(number: u64) -> None:
    """Makes a handler of its translation; what is no longer needed are spare frames of its owner's."""
    handler = handlers.table.entries[number]
    whole = translation_of(number)
    begin = space_of(number) + CODE
    length = whole.length
    handler.enter = begin + whole.enter
    handler.abort = begin + whole.abort
    handler.asks = whole.asks
    handler.frame_bytes = 0
    if whole.named >> FRAME_POINTER & 1:
        handler.frame_bytes = u64(work_of(number).inspection.slots[0].depth + 1) * FRAME_BYTES
    handler.special = handler.asks != 0 or handler.frame_bytes != 0
    places = Ptr[u16](paging.direct(u64(handler.parts[HandlerPart.PLACES]) * paging.PAGE))
    for slot in range(handler.slots):
        places[slot] = u16(whole.places[slot])
    frames.clear(u64(handler.parts[HandlerPart.PACKET]))
    frames.clear(u64(handler.parts[HandlerPart.FRAMES]))
    handlers.unmap_window(number)
    for i in range(_pages(length), handler.code_frames):
        frames.move(u64(handler.parts[HandlerPart.CODE + i]), handler.owner, FrameKind.SPARE)
    handler.code_frames = _pages(length)
    for i in range(handler.work_frames):
        frames.move(u64(handler.work[i]), handler.owner, FrameKind.SPARE)
    handler.work_frames = 0
    handlers.seal(number)
    handlers.map_window(number)
    handler.code_end = begin + length


def _part(handler: Handler, number: u64) -> u64:
    """The frames that are the kernel's to write, in the order of the request."""
    parts = HandlerPart.CODE + handler.code_frames
    return u64(handler.parts[number] if number < parts else handler.work[number - parts])


def _parts(handler: Handler) -> u64:
    return HandlerPart.CODE + handler.code_frames + handler.work_frames


def _take(handler: Handler, caller: u64) -> i64:
    """Makes tables of a handler's frames, whose capabilities are stale from here on, and pins those of the state; all or
    none.
    """
    pages = handler.state_bytes // paging.PAGE
    for i in range(pages):
        if not frames.is_usable(u64(handler.state[i]), caller):
            return Error.NOT_OWNER
    for i in range(_parts(handler)):
        frame = _part(handler, i)
        if not frames.can_become_table(frame, caller):
            _give_back(handler, caller, i)
            return Error.NOT_OWNER
        frames.move(frame, caller, FrameKind.NODE)
    for i in range(pages):
        entry = frames.entry(u64(handler.state[i]))
        if entry.kind != FrameKind.DATA:  # it was given as a part too
            for j in range(i):
                frames.entry(u64(handler.state[j])).pins -= 1
            _give_back(handler, caller, _parts(handler))
            return Error.NOT_OWNER
        entry.pins += 1
    return 0


def _give_back(handler: Handler, owner: u64, count: u64) -> None:
    """The first of its frames are spare ones of the owner's."""
    for i in range(count):
        frames.move(_part(handler, i), owner, FrameKind.SPARE)


# ---- the others


def own(named: u64) -> u64:
    """The number of the caller's handler that `handler_load` called so; HANDLERS if it has none of this name."""
    number = named & 0xFFFF_FFFF
    if number >= HANDLERS or handlers.table.entries[number].owner != environment.current().identifier:
        return HANDLERS
    return number if handlers.table.entries[number].generation == named >> 32 else u64(HANDLERS)


def attach(filter: u64, named: u64, third: u64, fourth: u64) -> i64:
    """The call `handler_attach`."""
    number: u64 = handlers.NONE
    if named != ANY:
        number = own(named)
        if number == HANDLERS:
            return Error.NOT_OWNER
        if not is_whole(handlers.table.entries[number]):
            return Error.BAD_ARGUMENT
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
    handlers.table.entries[number].may_wake |= u64(1) << target
    return 0


def count(named: u64, what: u64, third: u64, fourth: u64) -> i64:
    """The call `handler_count`."""
    number = own(named)
    if number == HANDLERS:
        return Error.NOT_OWNER
    if what >= len(HandlerCount):
        return Error.BAD_ARGUMENT
    return i64(handlers.table.entries[number].counts[what])


def remove(named: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `handler_remove`."""
    number = own(named)
    if number == HANDLERS:
        return Error.NOT_OWNER
    _unload(number)
    return 0


def _unload(number: u64) -> None:
    """Gives the frames back to the owner: those that the kernel used as spare ones."""
    handler = handlers.table.entries[number]
    handlers.detach(number)
    handlers.unmap_window(number)
    if is_whole(handler):
        handlers.unseal(number)
    _give_back(handler, handler.owner, _parts(handler))
    for i in range(handler.state_bytes // paging.PAGE):
        frames.entry(u64(handler.state[i])).pins -= 1
    handlers.loaded -= 1
    held[handler.owner] -= 1
    handler.owner = NOBODY
    handler.generation = (handler.generation + 1) & 0x7FFF_FFFF


def stop(identifier: u64) -> None:
    """An environment has ended: none of its handlers runs any more, and nobody's may wake it."""
    if handlers.loaded == 0:
        return
    for filter in range(FILTERS):
        number = u64(handlers.attached[filter])
        if number != handlers.NONE and handlers.table.entries[number].owner == identifier:
            handlers.attached[filter] = handlers.NONE
    handlers.forget_environment(identifier)


def release_next(identifier: u64) -> None:
    """Gives back the frames of one handler of an environment that has ended and has some."""
    number: u64 = 0
    while handlers.table.entries[number].owner != identifier:
        number += 1
    _unload(number)
