# SPDX-License-Identifier: MIT
"""Handlers in the kernel: their windows, and what happens to a frame whose filter has one.

**Windows.** Each handler has 5 GiB of the kernel's half to itself, in every address space. In the first 2 MiB of them lie
its code, `Record` and, from the window on, its arena; everything else up to the next one's is not mapped, 64 KiB above
the window's 4 GiB among it. The frames are its owner's, who has given them for this: nothing of anybody else's is ever
mapped there, but for the record and the context, which the kernel writes anew before each run and which hold no address
of a handler's choosing. The code can be written nowhere, in the direct map neither.

**A frame** is copied so that it ends with the handler's own page for packets: what lies below it are earlier frames of the
same filter owner's, and above it nothing.

Runs happen with interrupts off, in whatever address space was current. Nothing here may trust a handler's registers.
"""

from collections.abc import Callable

from exokernel.aegis import environment, frames, helpers, information
from exokernel.aegis.abi import *
from exokernel.aegis.ebpf import DEPTH, FRAME_BYTES, Reason
from exokernel.aegis.filter import FILTERS
from exokernel.aegis.handler_abi import *
from exokernel.aegis.translation import CONTEXT, DATA_END, EFFECTS, FRAMES, RECORD, STATE, Record
from exokernel.machine import cpu, paging
from exokernel.machine.paging import PageTableEntry
from exokernel.metal import *

SPACED = 5
SPACING = SPACED * paging.GIGABYTE
CODE = 0x1000  # from where a handler's space begins
WINDOW = 0x12000
FRAME_TOP = FRAMES + DEPTH * FRAME_BYTES
NONE = HANDLERS


@struct
class ContextPage:
    """What r1 leads to: XDP's context. It stays below the page's end."""

    data: u32
    data_end: u32
    data_meta: u32
    zero: Array[u8, paging.PAGE - 12]


@struct
class RecordPage:
    record: Record
    unused: Array[u8, paging.PAGE - sizeof(Record)]


NOBODY = environment.NOBODY
COPIES = 4  # in `Handler.asks`
GONE = ",".join(f"~{{{name}}}" for name in "rdi rsi rcx r8 r9 r10 r11 rbx rbp r13 r14 r15 flags memory".split())
ENTERING = "={rax},={rdx},{rax},{r12},{rdi},{rsi},{r9}," + GONE

table: HandlerTable = HandlerTable(Array[Handler, HANDLERS]([Handler(owner=NOBODY) for _ in range(HANDLERS)]))
attached: Array[u8, FILTERS] = Array[u8, FILTERS]([NONE] * FILTERS)
record_page: RecordPage = aligned(4096, RecordPage())
context_page: ContextPage = aligned(4096, ContextPage())
outgoing: Array[Array[u8, 2048], EFFECTS] = Array[Array[u8, 2048], EFFECTS]()
clock_factor: u64 = 0
loaded: u64 = 0  # how many handlers there are

# What runs asked for and nobody has done yet.
woken: u64 = 0  # bit n: environment n is to be told; stays until somebody did
successor: u64 = NOBODY  # who is to run next, in a slice of
successor_owner: u64 = NOBODY


def initialize() -> None:
    """What does not change from run to run."""
    record = record_page.record
    helpers.install(record)
    record.helpers[0] = u64(clock)
    record.end = DATA_END
    record.frames = FRAMES
    record.send_room = EFFECTS
    for i in range(EFFECTS):
        record.send_from[i] = u64(addr(outgoing[i]))
    context_page.data_end = DATA_END
    information.page.handlers_frame = _frame_of(u64(addr(table)))
    for i in range(sizeof(HandlerTable) // paging.PAGE):
        frames.entry(information.page.handlers_frame + i).kind = FrameKind.PUBLIC


def clock(first: u64, second: u64, third: u64, record: Record) -> u64:
    """Nanoseconds since the machine started."""
    global clock_factor
    if clock_factor == 0:
        clock_factor = (1_000_000_000 << 32) // information.page.timestamp_frequency
    now = cpu.read_timestamp()
    return multiply_high(now, clock_factor) << 32 | now * clock_factor >> 32


@inline
def space_of(number: u64) -> u64:
    """Where the space of a handler begins."""
    return paging.HANDLER_MAP + number * SPACING


# ---- a frame


@inline
def run(number: u64, frame: Span[u8], send: Callable[[u64, u64], bool]) -> Span[u8]:
    """Runs a handler on a frame (`prepare` comes before that if it is special), and does what it wants, but for its copies.
    Returns the frame as it is for the ring; of no length if it does not go there.
    """
    handler = table.entries[number]
    length = len(frame)
    changed = handler.packet_end - length
    copy_words(changed, u64(addr(frame[0])), length)
    lowest = u32(DATA_END) - u32(length)
    record_page.record.lowest = u64(lowest)
    context_page.data = lowest
    context_page.data_meta = lowest
    result, status = asm(
        "mov ebp, {FRAME_TOP}; call rax",
        ENTERING,
        handler.enter,
        handler.window,
        u64(CONTEXT),
        u64(0),
        u64(handler.budget),
        returns=tuple[u64, u64],
    )
    if status != 0:
        end_run(number, status)
        return frame[:0]
    action = u32(result)
    passed: u64 = 0
    if action == HandlerCount.SENT_BACK:
        handler.counts[HandlerCount.SENT_BACK] += 1
        if not send(changed, length):
            handler.counts[HandlerCount.LOST] += 1
    elif action == HandlerCount.PASSED:
        handler.counts[HandlerCount.PASSED] += 1
        passed = length
    else:
        handler.counts[u64(action == HandlerCount.DROPPED)] += 1
    if handler.special:
        commit(handler, send)
    return Span[u8](Ptr[u8](changed), passed)


@inline
def copy_words(to: u64, source: u64, length: u64) -> None:
    """Copies at least eight bytes, the last eight perhaps twice."""
    Ptr[u64](to + length - 8)[0] = Ptr[u64](source + length - 8)[0]
    asm("rep movsq", "{rdi},{rsi},{rcx},~{rdi},~{rsi},~{rcx},~{memory}", to, source, length // 8)


@noinline
def prepare(handler: Handler) -> None:
    """What only some handlers need: frames of zeros, and what helpers look at."""
    record = record_page.record
    if handler.frame_bytes != 0:
        start = paging.direct(u64(handler.parts[HandlerPart.FRAMES] + 1) * paging.PAGE) - handler.frame_bytes
        Span[u64](Ptr[u64](start), handler.frame_bytes // 8).fill(0)
    helpers.begin(record)
    record.state = u64(STATE) if handler.state_bytes != 0 else u64(0)
    record.state_bytes = handler.state_bytes
    record.may_wake = handler.may_wake


@noinline
def commit(handler: Handler, send: Callable[[u64, u64], bool]) -> None:
    """Makes what a run asked for real; what the device has no room for is lost, and counted."""
    global woken, successor, successor_owner
    record = record_page.record
    woken |= record.woken
    if record.next != NOBODY:
        successor = record.next
        successor_owner = handler.owner
    for i in range(record.sends):
        if not send(record.send_from[i], u64(record.sent[i])):
            handler.counts[HandlerCount.LOST] += 1
    handler.counts[HandlerCount.FRAMES] += record.sends
    handler.counts[HandlerCount.COPIES] += record.copies


@noinline
def end_run(number: u64, status: u64) -> None:
    """A handler was ended: nothing of what it asked for is done, and its owner is told."""
    global woken
    handler = table.entries[number]
    record_page.record.copies = 0
    handler.counts[HandlerCount.OVER_BUDGET + u64(status >> 32 != Reason.OVER_BUDGET)] += 1
    note(handler.owner, u32(number), u32(status >> 32), u32(status))
    woken |= u64(1) << handler.owner


def note(identifier: u64, number: u32, reason: u32, place: u32) -> None:
    """Tells an environment why a handler of its was refused or ended."""
    end = environment.records[identifier].page[0].handler_end
    end.count += 1
    end.handler = number
    end.reason = reason
    end.instruction = place


def continuation(ip: u64, registers: Registers) -> u64:
    """Where to continue after a page fault at `ip`, if that is in a handler's code; else 0."""
    number = (ip - paging.HANDLER_MAP) // SPACING
    if ip < paging.HANDLER_MAP or number >= HANDLERS or table.entries[number].owner == NOBODY:
        return 0
    handler = table.entries[number]
    begin = space_of(number) + CODE
    if ip < begin or ip >= handler.code_end:
        return 0
    places = Ptr[u16](paging.direct(u64(handler.parts[HandlerPart.PLACES]) * paging.PAGE))
    slot: u64 = 0
    last = handler.slots
    while last - slot > 1:  # the last instruction that begins at or before the fault
        middle = (slot + last) // 2
        if places[middle] <= ip - begin:
            slot = middle
        else:
            last = middle
    registers.rax = u64(Reason.WILD_ACCESS) << 32 | slot
    return handler.abort


# ---- windows


@noinline
def begin_window(number: u64) -> None:
    """Nothing appears in the space of a handler whose parts are known, but it has tables."""
    handler = table.entries[number]
    directory, tables = u64(handler.parts[HandlerPart.DIRECTORY]), u64(handler.parts[HandlerPart.TABLE])
    paging.fill(directory, PageTableEntry())
    paging.fill(tables, PageTableEntry())
    paging.table(directory)[0] = paging.node(tables)
    paging.table(paging.handlers_frame)[number * SPACED] = paging.node(directory)


def map_window(number: u64) -> None:
    """Makes the pages of a handler appear in its space."""
    begin_window(number)
    handler = table.entries[number]
    tables = u64(handler.parts[HandlerPart.TABLE])
    for i in range(handler.code_frames):
        map_page(tables, CODE + i * paging.PAGE, u64(handler.parts[HandlerPart.CODE + i]), False, False)
    map_page(tables, WINDOW - RECORD, _frame_of(u64(addr(record_page))), True, True)
    map_page(tables, WINDOW + DATA_END - paging.PAGE, u64(handler.parts[HandlerPart.PACKET]), True, True)
    map_page(tables, WINDOW + CONTEXT, _frame_of(u64(addr(context_page))), False, True)
    map_page(tables, WINDOW + FRAMES, u64(handler.parts[HandlerPart.FRAMES]), True, True)
    for i in range(handler.state_bytes // paging.PAGE):
        map_page(tables, WINDOW + STATE + i * paging.PAGE, u64(handler.state[i]), True, True)


@noinline
def map_page(tables: u64, place: u64, frame: u64, writable: bool, no_execute: bool) -> None:
    entry = PageTableEntry(present=True, writable=writable, shared=True, frame=frame, no_execute=no_execute)
    paging.table(tables)[place // paging.PAGE] = entry


def _frame_of(address: u64) -> u64:
    """Of a page of the kernel's image."""
    return (address - paging.KERNEL_BASE) // paging.PAGE


@noinline
def unmap_window(number: u64) -> None:
    """Nothing of a handler appears in its space any more."""
    paging.table(paging.handlers_frame)[number * SPACED] = PageTableEntry()
    tables = paging.table(u64(table.entries[number].parts[HandlerPart.TABLE]))
    for i in range(u64(len(tables))):
        if tables[i].present:
            cpu.forget_translation(space_of(number) + i * paging.PAGE)


# ---- the code in the direct map


def seal(number: u64) -> None:
    """The code of a handler cannot be written in the direct map any more. Where that is a large page, the handler's table
    makes it small ones.
    """
    handler = table.entries[number]
    own = u64(handler.parts[HandlerPart.DIRECT_TABLE])
    first = _large_page(handler)
    entry = _directory(first)[first // paging.LARGE_FRAMES % 512]
    if entry.large:
        entry.large = False
        for i in range(paging.LARGE_FRAMES):
            entry.frame = first + i
            paging.table(own)[i] = entry
        _lead(first, paging.node(own))
    _make_writable(handler, False)


def unseal(number: u64) -> None:
    """Undoes `seal`. If the handler's table is what makes its large page small ones, another handler with code there puts
    its own in the place, or the page is large again.
    """
    handler = table.entries[number]
    own = u64(handler.parts[HandlerPart.DIRECT_TABLE])
    first = _large_page(handler)
    _make_writable(handler, True)
    entry = _directory(first)[first // paging.LARGE_FRAMES % 512]
    if entry.frame != own:
        return
    for other in range(HANDLERS):
        heir = table.entries[other]
        if other != number and heir.owner != NOBODY and heir.code_end != 0 and _large_page(heir) == first:
            its = u64(heir.parts[HandlerPart.DIRECT_TABLE])
            for i in range(paging.LARGE_FRAMES):
                paging.table(its)[i] = paging.table(own)[i]
            _lead(first, paging.node(its))
            return
    entry = PageTableEntry(present=True, writable=True, large=True, shared=True, frame=first, no_execute=True)
    _lead(first, entry)


def _large_page(handler: Handler) -> u64:
    """The first frame of the 2 MiB in which a handler's code is."""
    code = u64(handler.parts[HandlerPart.CODE])
    return code - code % paging.LARGE_FRAMES


@noinline
def _directory(frame: u64) -> paging.PageTable:
    """Of the direct map, for a frame."""
    return paging.table(paging.table(paging.direct_map_frame)[frame // paging.FRAMES_PER_GIGABYTE].frame)


@noinline
def _lead(first: u64, entry: PageTableEntry) -> None:
    _directory(first)[first // paging.LARGE_FRAMES % 512] = entry
    cpu.forget_translation(paging.direct(first * paging.PAGE))


@noinline
def _make_writable(handler: Handler, writable: bool) -> None:
    first = _large_page(handler)
    small = paging.table(_directory(first)[first // paging.LARGE_FRAMES % 512].frame)
    for i in range(handler.code_frames):
        frame = u64(handler.parts[HandlerPart.CODE + i])
        entry = small[frame - first]
        entry.writable = writable
        small[frame - first] = entry
        cpu.forget_translation(paging.direct(frame * paging.PAGE))


# ---- what ends


def detach(number: u64) -> None:
    """No filter leads to a handler any more."""
    for filter in range(FILTERS):
        if attached[filter] == number:
            attached[filter] = NONE


def forget_environment(identifier: u64) -> None:
    """An environment has ended: nobody may wake it, nor who is made in its place."""
    for handler in table.entries:
        handler.may_wake &= ~(u64(1) << identifier)
