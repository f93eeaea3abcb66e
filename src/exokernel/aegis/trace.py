# SPDX-License-Identifier: MIT
"""The trace ring: what the kernel does, one record each, for everybody to read (`trace_abi`).

Only the kernel that `traced` makes records. In the ordinary one ON is false, each function here is nothing at its
caller, each text of assembly is empty or the instruction that it stands for, and no frame is taken. Recording is a
constant amount of work, overwrites the oldest record, and decides nothing: nothing may depend on what is in the ring.
"""

import sys

from exokernel.aegis import frames, information
from exokernel.aegis.abi import ENVIRONMENTS, LOST, Authority, EnvironmentPage, Event, FrameKind
from exokernel.aegis.trace_abi import (
    TRACE_FRAMES,
    TRACE_RECORDS_PER_FRAME,
    TraceCause,
    TraceKind,
    TraceRecord,
)
from exokernel.machine import cpu, paging
from exokernel.metal import Ptr, addr, inline, noinline, u8, u16, u32, u64

ON = "exokernel.aegis.traced" in sys.modules  # which imports all of the kernel, this too
FRAMES = TRACE_FRAMES if ON else 0
RECORDS = TRACE_FRAMES * TRACE_RECORDS_PER_FRAME

CURRENT = paging.OWN_PAGES + paging.PAGE  # the kernel page, which begins with the current environment's number

ring: Ptr[TraceRecord] = Ptr[TraceRecord](0)


# ---- what stands in the assembly of ways in and out; the routines are in `traced`


def entering(routine: str, operand: object = 0) -> str:
    """Assembly that records an entry: all registers but the flags stay as they are, and no stack but the recorder's is
    touched. `operand` is for the routine.
    """
    return (
        f"mov qword ptr [traced_stack_pointer], rsp\nmov rsp, offset traced_stack\npush {operand}\n"
        f"call {routine}\nmov rsp, qword ptr [traced_stack_pointer]"
        if ON
        else ""
    )


ENTER_CALL = entering("traced_call")
ENTER_EXCEPTION = entering("traced_exception")
ENTER_TIMER = entering("traced_interrupt", int(TraceCause.TIMER))
ENTER_DEVICE = entering("traced_interrupt", int(TraceCause.DEVICE))
ENTER_FLOATING = entering("traced_interrupt", int(TraceCause.FLOATING))
ENTER_STRAY = entering("traced_interrupt", int(TraceCause.STRAY))
ENTER_LINE = entering("traced_line", "rax")
SYSRET = "jmp traced_sysret" if ON else "sysretq"
IRET = "jmp traced_iret" if ON else "iretq"


# ---- the ring


def publish(first_frame: u64) -> None:
    """Makes the ring of the FRAMES frames from `first_frame` on, and lets everybody map them."""
    global ring
    if ON:
        ring = Ptr[TraceRecord](paging.direct(first_frame * paging.PAGE))
        for frame in range(first_frame, first_frame + FRAMES):
            frames.clear(frame)
            frames.entry(frame).kind = FrameKind.PUBLIC
        information.page.trace_frame = first_frame
        information.page.trace_frames = FRAMES
        record(TraceKind.ENTER, ENVIRONMENTS, TraceCause.BOOT, 0, 0)


@noinline
def record(kind: u64, environment: u64, detail: u64, first: u64, second: u64) -> None:
    """Writes the next record. It counts when all of it is there."""
    number = information.page.trace_written
    place = (ring + number % RECORDS)[0]
    place.timestamp = cpu.read_timestamp()
    place.sequence = u32(number)
    place.kind = u8(kind)
    place.environment = u8(environment)
    place.detail = u16(detail)
    place.first = first
    place.second = second
    information.page.trace_written = number + 1


# ---- what happens


@inline
def current() -> u64:
    return Ptr[u64](CURRENT)[0]


@inline
def enter(cause: u64, ip: u64, about: u64) -> None:
    """The current environment enters the kernel, from `ip`."""
    if ON:
        record(TraceKind.ENTER, current(), cause, ip, about)


@inline
def leave(ip: u64) -> None:
    """The current environment continues at `ip`."""
    if ON:
        record(TraceKind.LEAVE, current(), 0, ip, 0)


@inline
def upcall(environment: u64, entry: u64, ip: u64) -> None:
    if ON:
        record(TraceKind.UPCALL, environment, entry, ip, 0)


@inline
def post(environment: u64, event: u64, page: EnvironmentPage) -> None:
    """An event was posted to it, and all that it is told is in its page."""
    if ON:
        about: u64 = 0
        if event == Event.REVOKE:
            about = page.wanted[Authority.MEMORY] | page.wanted[Authority.PROCESSOR] << 32
        elif event == Event.REPOSSESSED:
            about = page.lost[(page.lost_count - 1) % LOST]
        record(TraceKind.POSTED, environment, 0, event, about)


@inline
def count(counter: u64) -> None:
    if ON:
        record(TraceKind.COUNTED, current(), counter, 0, 0)


@inline
def name(environment: u64) -> None:
    """An environment of that number was made, and its name is in the system page."""
    if ON:
        halves = Ptr[u64](u64(addr(information.page.environments[environment].name)))
        record(TraceKind.NAMED, environment, 0, halves[0], halves[1])
        record(TraceKind.NAMED, environment, 1, halves[2], halves[3])


@inline
def end(environment: u64) -> None:
    if ON:
        record(TraceKind.ENDED, environment, 0, u64(information.page.environments[environment].status), 0)
