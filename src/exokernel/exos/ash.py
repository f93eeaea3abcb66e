# SPDX-License-Identifier: MIT
"""Application-specific handlers in Python: a handler gets a packet the moment it arrives, and says what becomes of it.

    def echo(context: Context) -> u32:
        frame = packet(context)
        ...
        return Action.TX

    ECHO: Final[ash.Program] = ash.program(echo)

    def main() -> None:
        ... ash.attach(number of a filter, ECHO)

It is the dialect, so headers and pure functions of the library work in it as anywhere: `view(udp.Header, frame, 34)`
reads and writes in place. It runs in the kernel, in a window of its own: an access outside it, or an index out of range,
ends it. It has no module variables, no `print` and 512 bytes of stack; what stays from one packet to the next is in its
state, which the application shares. The functions that a handler calls take effect when it has returned.
"""

import types
from enum import IntEnum
from pathlib import Path
from typing import Final

from exokernel.aegis.abi import (
    ANY,
    FRAME_FREE,
    LARGE_PAGES,
    NAME_INDEX_BITS,
    NOWHERE,
    PAGE_BYTES,
    Error,
    FrameKind,
    Kind,
    Right,
)
from exokernel.aegis.ebpf import FAILED, KERNEL_LIMIT, TEXTS, Helper, Reason
from exokernel.aegis.handler_abi import *
from exokernel.exos import aegis, slots
from exokernel.exos.aegis import call
from exokernel.metal import *
from exokernel.metal.language import helper

BUDGET = 4000  # instructions that a run may take, if the program does not say


class Action(IntEnum):
    """What becomes of the packet: XDP's return codes."""

    ABORTED = 0  # as DROP, and counted as a mistake
    DROP = 1
    PASS = 2  # to the application
    TX = 3  # back where it came from, as it is now


@struct
class Context:
    """XDP's context (Linux's `struct xdp_md`). Addresses have 32 bits: they are offsets in the handler's window."""

    data: u32
    data_end: u32
    data_meta: u32
    ingress_interface: u32
    receive_queue: u32
    egress_interface: u32


# ---- in a handler


@inline
def packet(context: Context) -> Span[u8]:
    """The frame, from its Ethernet header to its end."""
    return Span[u8](Ptr[u8](u64(context.data)), u64(context.data_end - context.data))


@helper(Helper.CLOCK)
def clock() -> u64:
    """Nanoseconds since the machine started."""
    return FAILED


@helper(Helper.STATE)
def _state() -> u64:
    return 0


@inline
def state() -> u64:
    """The address of the handler's state, for `Ptr[T](ash.state())[0]`; 0: it has none."""
    return _state()


@helper(Helper.COPY)
def _copy(address: u64, length: u64, tag: u64) -> u64:
    return FAILED


@inline
def copy(data: Span[u8], tag: u32) -> u64:
    """Puts bytes into the filter's ring, as if a frame of these bytes had arrived, with `tag` in the slot's `tag`. Gives
    their Internet checksum's sum, taken in the same pass (0xffff: a right checksum is among them), or FAILED.
    """
    return _copy(u64(addr(data[0])), len(data), u64(tag))


@helper(Helper.TRANSMIT)
def _transmit(address: u64, length: u64) -> u64:
    return FAILED


@inline
def transmit(frame: Span[u8]) -> bool:
    """Sends a whole Ethernet frame, at most four in one run; False if there is no room."""
    return _transmit(u64(addr(frame[0])), len(frame)) == 0


@helper(Helper.WAKE)
def _wake(environment: u64) -> u64:
    return FAILED


@inline
def wake(environment: u64) -> bool:
    """Sets the event HANDLER of the owner, or of who was allowed; False if it was not."""
    return _wake(environment) == 0


@helper(Helper.RUN)
def _run(environment: u64) -> u64:
    return FAILED


@inline
def run(environment: u64) -> bool:
    """As `wake`; and if a slice of the handler's owner was interrupted, the environment runs in the rest of it."""
    return _run(environment) == 0


# ---- while the image is built


Program = bytes  # a constant of the application: the budget in 8 bytes, then the instructions


def program(source: types.FunctionType | Path | bytes, *, section: str = "", budget: int = BUDGET) -> Program:
    """The handler that a function is, or instructions, or an eBPF object's path (`Path(__file__).with_name("echo.o")`), of
    which `section` names one of several programs. `budget` instructions are the most that one run may take. Errors: the
    compiler's; what the kernel would refuse, it refuses when the handler is loaded.
    """
    from exokernel.host import ash_object
    from exokernel.metal.handler import compile_handler

    if isinstance(source, bytes):
        found = [ash_object.Handler(section, source)]
    elif isinstance(source, types.FunctionType):
        found = ash_object.linked(compile_handler(source), source.__name__)
    else:
        found = ash_object.programs(source)
    chosen = [handler.program for handler in found if section in ("", handler.name)]
    if not chosen:
        raise ValueError(f"there is no program {section}: there are {', '.join(h.name for h in found)}")
    if len(chosen[0]) > 8 * KERNEL_LIMIT:
        raise ValueError(TEXTS[Reason.LONG_FOR_KERNEL])
    return budget.to_bytes(8, "little") + chosen[0]


# ---- in an application: the kernel's calls, and what is made of them


@call
def handler_load(request: u64) -> i64:
    """Begins to load a packet handler (eBPF, RFC 9669), of which the request says the program, which is copied, and gives the
    memory: the frames of `parts` and `work` must be used by nothing and stay the caller's, but nobody can map them; those of
    `state` are pinned. Returns its number and, from bit 32 on, generation, for `handler_continue`; REFUSED, NO_ROOM,
    NOT_OWNER, BAD_ADDRESS, BAD_ARGUMENT.
    """


@call
def handler_continue(handler: u64) -> i64:
    """Inspects and translates a piece of the caller's handler. Returns 0: it is whole, and can be attached; 1: call again;
    REFUSED: it is not loaded, `EnvironmentPage.handler_end` says why; NOT_OWNER. What is not needed any more are spare
    frames of the caller's: those of `work`, and of the code that was not that long; of a refused one, all.
    """


@call
def handler_attach(filter: u64, handler: u64) -> i64:
    """Frames of a filter of the caller's go to its handler first, of which the action decides (1 drop, 2 to the ring, 3
    send back as it is then, else drop); to none for ANY. Returns 0, NOT_OWNER or BAD_ARGUMENT: also if it is not whole.
    """


@call
def handler_allow(handler: u64, slot: u64) -> i64:
    """The caller's handler may wake the environment that `slot` gives power over, besides the caller. Returns 0, NOT_OWNER,
    NOT_PERMITTED or BAD_ARGUMENT.
    """


@call
def handler_count(handler: u64, count: u64) -> i64:
    """How often something (`HandlerCount`) has happened to the caller's handler. Returns it, NOT_OWNER or BAD_ARGUMENT."""


@call
def handler_remove(handler: u64) -> i64:
    """Ends the caller's handler; its filters lead to their rings again, its parts are spare frames of the caller's, the state
    is no longer pinned. Returns 0 or NOT_OWNER.
    """


_SENTENCES = [TEXTS.get(reason, "").encode() for reason in range(max(Reason) + 1)]
_STARTS = [sum(map(len, _SENTENCES[:i])) for i in range(len(_SENTENCES) + 1)]
_texts: Final[Array[u8, _STARTS[-1]]] = Array[u8, _STARTS[-1]](b"".join(_SENTENCES))
_starts: Final[Array[u16, len(_STARTS)]] = Array[u16, len(_STARTS)](_STARTS)


def explain(reason: u32) -> bytes:
    """The sentence for a `Reason`, the one that `./exo ash check` prints."""
    if u64(reason) + 1 >= len(_starts):
        return b""
    return _texts[_starts[reason] : _starts[reason + 1]]


def report() -> None:
    """Prints what `EnvironmentPage.handler_end` says."""
    end = aegis.environment_page().handler_end
    if end.handler == NOWHERE:
        print(f"handler refused, instruction {end.instruction}: ", end="")
    else:
        print(f"handler {end.handler} ended, instruction {end.instruction}: ", end="")
    print(explain(end.reason))


def load(program: Program, state: Span[u8]) -> i64:
    """Loads a handler. `state` is memory of the application's that it shares with it: whole pages, at most 16; none: `b""`
    has no address, so give `memory[:0]`. Returns its name for the other functions, or an Error, of which REFUSED is
    explained on the console.
    """
    request = HandlerRequest()
    result = begin(program, state, request)
    if result >= 0:
        more: i64 = 1
        while more == 1:
            more = handler_continue(u64(result))
        if more < 0:
            result = more
    release_spare(request)
    if result == Error.REFUSED:
        report()
    return result


def begin(program: Program, state: Span[u8], request: HandlerRequest) -> i64:
    """What `load` begins with: until `handler_continue` says that the handler is whole there is more to do, and then
    `release_spare`, whatever came of it. `request` is filled in. Returns as `handler_load`.
    """
    words = Ptr[u64](u64(addr(program[0])))
    request.program = u64(words + 1)
    request.slots = u32(len(program) // 8 - 1)
    request.budget = u32(words[0])
    pages = len(state) // PAGE_BYTES
    if pages > HANDLER_STATE_FRAMES:
        return Error.BAD_ARGUMENT
    request.state_frames = u32(pages)
    for i in range(pages):
        request.state[i] = u32(aegis.table_entry(u64(addr(state[i * PAGE_BYTES])) // PAGE_BYTES).frame)
    request.code_frames = min(1 + request.slots * LONGEST // PAGE_BYTES, HANDLER_CODE_FRAMES)
    for i in range(HandlerPart.CODE):
        frame = aegis.frame_claim_table(ANY)
        if frame < 0:
            return frame
        request.parts[i] = u32(frame)
    for i in range(work_frames(u64(request.slots))):
        frame = aegis.frame_claim_table(ANY)
        if frame < 0:
            return frame
        request.work[i] = u32(frame)
    if not _claim_code(request):
        return Error.NO_FRAMES
    return handler_load(u64(addr(request)))


LONGEST = 64  # bytes of machine code for one instruction, and more


def _claim_code(request: HandlerRequest) -> bool:
    """Claims the frames of the code in one large page, the first that has so many."""
    pages = aegis.system_page().frames // LARGE_PAGES
    begin = u64(request.parts[0]) // LARGE_PAGES
    for i in range(pages):
        first = (begin + i) % pages * LARGE_PAGES
        claimed: u64 = 0
        for frame in range(first, first + LARGE_PAGES):
            if aegis.frame_entry(frame).owner != FRAME_FREE or aegis.frame_claim_table(frame) < 0:
                continue
            request.parts[HandlerPart.CODE + claimed] = u32(frame)
            claimed += 1
            if claimed == request.code_frames:
                return True
        for part in range(claimed):
            aegis.frame_release(u64(request.parts[HandlerPart.CODE + part]))
    return False


def release_spare(request: HandlerRequest) -> None:
    """Releases those frames of a request that the kernel did not need, or does not need any more."""
    for i in range(HANDLER_PARTS):
        _release_spare(u64(request.parts[i]))
    for i in range(HANDLER_WORK_FRAMES):
        _release_spare(u64(request.work[i]))


def _release_spare(frame: u64) -> None:
    if aegis.frame_entry(frame).kind == FrameKind.SPARE:
        aegis.frame_release(frame)


def attach(filter: i64, program: Program) -> i64:
    """Loads a handler without state, and gives it the frames of a filter that `filter_bind` called so, first of all.
    Returns its name, or an Error, which may be the filter's.
    """
    return attach_with(filter, program, Span[u8](Ptr[u8](0), 0))


def attach_with(filter: i64, program: Program, state: Span[u8]) -> i64:
    """The same with state, as `load`."""
    if filter < 0:
        return filter
    handler = load(program, state)
    if handler < 0:
        return handler
    error = handler_attach(u64(filter), u64(handler))
    if error < 0:
        handler_remove(u64(handler))
        return error
    return handler


def show(page: u64) -> i64:
    """Maps the table of all handlers, a `HandlerTable`, at pages of the caller's, to be read without a call from then on.
    Returns 0 or the error of `tlb_insert`.
    """
    for i in range(sizeof(HandlerTable) // PAGE_BYTES):
        error = aegis.tlb_insert(page + i, aegis.system_page().handlers_frame + i, Right.READ)
        if error != 0:
            return error
    return 0


def counted(handler: i64, count: u64) -> i64:
    """How often something, a `HandlerCount`, has happened."""
    return handler_count(u64(handler), count)


def allow(handler: i64, environment: u64) -> i64:
    """Lets a handler wake an environment that the caller created. Returns 0 or an Error."""
    slot = slots.take(slots.bindings, 1)
    if slot == slots.NOTHING:
        return Error.NO_ROOM
    name = u64(Kind.ENVIRONMENT) << NAME_INDEX_BITS | environment
    rights = u64(aegis.system_page().environments[environment].generation) << 32 | Right.WRITE
    error = aegis.capability_mint(name, rights)
    if error >= 0:
        error = aegis.bind(slot, name, rights, u64(error))
    if error == 0:
        error = handler_allow(u64(handler), slot)
        aegis.unbind(slot)
    slots.release(slots.bindings, slot, 1)
    return error
