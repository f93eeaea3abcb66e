# SPDX-License-Identifier: MIT
"""Exceptions as the application's own business: a Python function for each, with the interrupted registers as a struct
it may change, and a verdict. The kernel only brings the processor here; going on does not enter it again.

A handler runs on a stack of its own, so that a stack that overflowed can be handled. A fault inside a handler ends the
environment with the kernel's report, as does an exception that nobody handles.

Page faults go another way first: to a function that is told address and error code alone, for which only the registers
are saved that a function may use. If it can do nothing, the way above is taken. Page faults inside handlers go to a
second such function (`vm` puts memory there, or copies it) and nowhere else.
"""

from collections.abc import Callable
from enum import IntEnum

from exokernel.aegis import abi
from exokernel.exos import aegis, console, critical, instructions
from exokernel.metal import Array, Ptr, Span, addr, aligned, asm, naked, offsetof, struct, u8, u32, u64

DIVIDE = 0
DEBUG = 1
BREAKPOINT = 3
OVERFLOW = 4
UNDEFINED = 6  # an undefined instruction; also a trap of the language, such as an index out of range
COPROCESSOR = 7  # floating-point or vector registers without `aegis.floating_point(1)`
STACK = 12
PROTECTION = 13
PAGE = 14
FLOATING_POINT = 16
ALIGNMENT = 17
VECTOR = 19  # an exception of vector arithmetic
VECTORS = 32

FETCH = 16  # in a page fault's error code: an instruction was fetched
STACK_BYTES = 8192


class Verdict(IntEnum):
    """What happens after a handler."""

    RESUME = 0  # go on with the registers as they are now: the instruction is tried again
    SKIP = 1  # go on after the instruction; if it could not be fetched, after the call that led there
    END = 2  # end the environment, with the kernel's report


@struct
class Registers:
    """The interrupted program; what a handler changes here takes effect when it goes on."""

    r15: u64  # from here to `rax` as abi.Registers
    r14: u64
    r13: u64
    r12: u64
    r11: u64
    r10: u64
    r9: u64
    r8: u64
    rdi: u64
    rsi: u64
    rbp: u64
    rbx: u64
    rdx: u64
    rcx: u64
    rax: u64
    ip: u64
    flags: u64
    rsp: u64
    address: u64  # that a page fault was about
    cause: abi.Cause


def end(registers: Registers) -> u8:
    """The handler of every exception that has no other."""
    return Verdict.END


def decline(address: u64, error: u64) -> bool:
    """The light handler when there is no other."""
    return False


LightHandler = Callable[[u64, u64], bool]
light: Array[LightHandler, 2] = Array[LightHandler, 2]([decline, decline])
handlers: Array[Callable[[Registers], u8], VECTORS] = Array[Callable[[Registers], u8], VECTORS]([end] * VECTORS)
stack: Array[u8, STACK_BYTES] = aligned(abi.PAGE_BYTES, Array[u8, STACK_BYTES]())
ready: bool = False


def handle(vector: u64, handler: Callable[[Registers], u8]) -> None:
    """From now on `handler` decides about exceptions of number `vector` (0 to 31). Handlers may call this too."""
    handlers[vector] = handler
    begin()


def handle_faults(handler: LightHandler, inner: LightHandler) -> None:
    """From now on `handler(address, error)` is asked first about page faults (error: SDM volume 3, figure 4-12), and
    `inner` about those inside handlers. True: the instruction is tried again. They run on the handlers' stack, and must
    touch no memory where a page fault could happen; `shielded` calls a function that may.
    """
    light[0] = handler
    light[1] = inner
    begin()


def begin() -> None:
    global ready
    if not ready:  # later only `dispatch` says when the next exception may come: not inside a handler
        ready = True
        aegis.environment_page().exception_entry = u32(u64(enter))


def dispatch(registers: Registers) -> u32:
    """Ask the handler and prepare what it decides. The result is for EnvironmentPage.exception_entry: with 0 there, the
    instruction is tried again, fails again, and the kernel's report shows it as it was.
    """
    vector = registers.cause.vector
    aegis.environment_page().exception_entry = u32(u64(enter_inner))
    verdict = handlers[vector](registers)
    aegis.environment_page().exception_entry = 0
    if verdict == Verdict.SKIP and not skip(registers):
        verdict = Verdict.END
    if verdict == Verdict.END:
        console.flush()
        if vector == BREAKPOINT:
            registers.ip -= 1  # it is reported behind the instruction
        return 0
    if critical.overdue != 0:
        aegis.environment_page().exception_entry = u32(u64(enter))
        critical.late_from_handler[0](u64(addr(registers)))
    return u32(u64(enter))


def skip(registers: Registers) -> bool:
    """Move `registers` past the instruction; False if it is none."""
    vector = registers.cause.vector
    if vector == BREAKPOINT or vector == OVERFLOW or vector == DEBUG:
        return True  # these are behind it already
    if vector == PAGE and registers.cause.error & FETCH:
        registers.ip = Ptr[u64](registers.rsp)[0]
        registers.rsp += 8
        return True
    length = instructions.length(Span[u8](Ptr[u8](registers.ip), instructions.LONGEST))
    registers.ip += length
    return length != 0


ENTRY = abi.ENVIRONMENT_ADDRESS + offsetof(abi.EnvironmentPage, "exception_entry")
FRAME = abi.ENVIRONMENT_ADDRESS + offsetof(abi.EnvironmentPage, "exception_frame")
PLACES = {name: FRAME + offsetof(abi.ExceptionFrame, name) for name in abi.ExceptionFrame.__annotations__}
FRAME_ADDRESS, FRAME_R11, FRAME_RCX, FRAME_CAUSE, FRAME_IP, _, FRAME_FLAGS, FRAME_SP, _ = PLACES.values()
WORDS = {name.replace("sp", "rsp"): f"qword ptr [{place}]" for name, place in PLACES.items()}
PUSH_FRAME, POP_FRAME = aegis.saving(*WORDS.values())
# What the program had, as a Registers: some of it is in the frame.
PUSH_ALL, POP_ALL = aegis.saving(*(WORDS.get(name, name) for name in reversed(Registers.__annotations__)))
PUSH_FREE, POP_FREE = aegis.saving("rax", "rdx", "rsi", "rdi", "r8", "r9", "r10")  # what functions may use, too
INNER_BYTES = 2048  # of the stack, at its far end: for page faults inside handlers

# Parts of the two ways in. Saves what a function may use (`rcx` and `r11` are in the frame), and loads the arguments of
# a light handler; what is no page fault goes to label 7.
ASK = f"""
        cmp byte ptr [{FRAME_CAUSE} + 2], {PAGE}
        jne 7f
        {PUSH_FREE}
        mov rdi, qword ptr [{FRAME_ADDRESS}]
        movzx esi, word ptr [{FRAME_CAUSE}]
"""
GO_ON = f"""
        mov rcx, qword ptr [{FRAME_RCX}]
        mov r11, qword ptr [{FRAME_R11}]
        mov esp, {FRAME_FLAGS}
        popfq
        pop rsp
        jmp qword ptr [{FRAME_IP}]
"""


@naked
def enter_inner() -> None:
    """Where the kernel continues after an exception inside a handler: a page fault may be repaired. Otherwise the entry
    stays 0, and the instruction is tried again for the kernel's report.
    """
    asm("""
        mov esp, offset {stack} + {INNER_BYTES} - 8
        {ASK}
        call qword ptr [{light} + 8]
        test al, al
        {POP_FREE}
        jz 8f
        mov dword ptr [{ENTRY}], offset {enter_inner}
        jmp 8f
    7:
        cmp byte ptr [{FRAME_CAUSE} + 2], {BREAKPOINT}
        jne 8f
        dec qword ptr [{FRAME_IP}]
    8:
        {GO_ON}
    """)


@naked
def shielded(function: LightHandler, address: u64, error: u64) -> bool:
    """`function(address, error)`, called by a light handler, but page faults inside it are repaired as in others."""
    asm("""
        {PUSH_FRAME}
        mov dword ptr [{ENTRY}], offset {enter_inner}
        mov rax, rdi
        mov rdi, rsi
        mov rsi, rdx
        call rax
        mov dword ptr [{ENTRY}], 0
        {POP_FRAME}
        ret
    """)


@naked
def enter() -> None:
    """Where the kernel continues after an exception. `rcx` and `r11` are in the frame and free here; all else is still
    the program's. Unless a light handler has done it: builds a Registers on the handlers' stack, calls `dispatch`, and
    goes on from the Registers.
    """
    asm("""
        mov esp, offset {stack} + {STACK_BYTES} - 8
        {ASK}
        call qword ptr [{light}]
        test al, al
        {POP_FREE}
        jz 7f
        mov dword ptr [{ENTRY}], offset {enter}
        {GO_ON}
    7:
        mov esp, offset {stack} + {STACK_BYTES}
        {PUSH_ALL}
        mov rdi, rsp
        call {dispatch}
        mov dword ptr [{ENTRY}], eax
        {POP_ALL}
        {GO_ON}
    """)
