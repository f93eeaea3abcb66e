# SPDX-License-Identifier: MIT
"""The kernel that records what it does: the ordinary one, and what its ways in and out then lead through.

Nothing else imports this module; that it is there turns `trace.ON` on. The routines run on a stack of their own, since
some ways in and out never take the kernel's, and one of them has the application's: where the stack was is kept in
`traced_stack_pointer`. Interrupts are off, and nothing here faults, so one place is enough.
"""

from exokernel.aegis import environment, exceptions, kernel, trace
from exokernel.aegis.abi import EnvironmentPage
from exokernel.aegis.trace_abi import TraceCause
from exokernel.machine import paging
from exokernel.metal import Ptr, asm, export, module_asm, naked, u64

OUTPUT = kernel.OUTPUT
ENTRY = kernel.kernel_start

STACK_BYTES = 4096
OPERAND = 88  # behind PUSH_MESSAGE and the return address

module_asm(f"""
.bss
.balign 16
.skip {STACK_BYTES}
.globl traced_stack
traced_stack:
.globl traced_stack_pointer
traced_stack_pointer: .skip 8
.text
""")


# ---- ways in: `trace.entering` calls these


@naked
@export
def traced_call() -> None:
    """A system call: its number in `al`, its caller's `rip` in `rcx`, its first argument in `rdi`."""
    asm("""
        {environment.PUSH_MESSAGE}
        cld
        mov rdx, rdi
        movzx edi, al
        mov rsi, rcx
        call {enter_call}
        {environment.POP_MESSAGE}
        ret
    """)


@naked
@export
def traced_exception() -> None:
    """An exception out of ring 3, all of whose frame is in the environment page."""
    asm("""
        {environment.PUSH_MESSAGE}
        cld
        call {enter_exception}
        {environment.POP_MESSAGE}
        ret
    """)


@naked
@export
def traced_interrupt() -> None:
    """An interrupt, whose frame is the end of the kernel page; the operand is its cause."""
    asm("""
        {environment.PUSH_MESSAGE}
        cld
        mov rdi, qword ptr [rsp + {OPERAND}]
        call {enter_interrupt}
        {environment.POP_MESSAGE}
        ret
    """)


@naked
@export
def traced_line() -> None:
    """As `traced_interrupt`; the operand is a device line."""
    asm("""
        {environment.PUSH_MESSAGE}
        cld
        mov rdi, qword ptr [rsp + {OPERAND}]
        add rdi, {TraceCause.LINE}
        call {enter_interrupt}
        {environment.POP_MESSAGE}
        ret
    """)


def enter_call(number: u64, ip: u64, argument: u64) -> None:
    trace.enter(TraceCause.CALL + number, ip, argument)


def enter_exception() -> None:
    frame = Ptr[EnvironmentPage](paging.OWN_PAGES)[0].exception_frame
    vector = frame.cause.vector
    trace.enter(vector, frame.ip, frame.address if vector == exceptions.PAGE_FAULT else u64(0))


def enter_interrupt(cause: u64) -> None:
    trace.enter(cause, environment.current().context.ip, 0)


# ---- ways out: `trace.SYSRET` and `trace.IRET` jump to these


@naked
@export
def traced_sysret() -> None:
    """`sysretq`, recorded: `rip` is in `rcx`."""
    asm("""
        mov qword ptr [traced_stack_pointer], rsp
        mov rsp, offset traced_stack
        {environment.PUSH_MESSAGE}
        cld
        mov rdi, rcx
        call {leave}
        {environment.POP_MESSAGE}
        mov rsp, qword ptr [traced_stack_pointer]
        sysretq
    """)


@naked
@export
def traced_iret() -> None:
    """`iretq`, recorded: `rip` is on the stack."""
    asm("""
        mov qword ptr [traced_stack_pointer], rsp
        mov rsp, offset traced_stack
        {environment.PUSH_MESSAGE}
        cld
        mov rdi, qword ptr [traced_stack_pointer]
        mov rdi, qword ptr [rdi]
        call {leave}
        {environment.POP_MESSAGE}
        mov rsp, qword ptr [traced_stack_pointer]
        iretq
    """)


def leave(ip: u64) -> None:
    trace.leave(ip)
