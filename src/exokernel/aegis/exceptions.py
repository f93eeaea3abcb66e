# SPDX-License-Identifier: MIT
"""Exceptions: all of them go to the application, in a handful of instructions, and it resumes without the kernel.

Out of ring 3 the processor pushes its frame straight into the environment page, whose upper end is the exception stack
of every address space. The kernel adds the cause, `rcx` and `r11`, takes the handler's address out of the page and
returns to it. The handler's address is 32 bits wide, hence always canonical, and flags are the kernel's choice, so
nothing that the page holds can harm the return. No handler: the environment ends.

Out of ring 0 only the two instructions of `user_memory` and the code of handlers may fault. Anything else is a panic.
"""

from exokernel.aegis import ending, environment, handlers, trace, user_memory
from exokernel.aegis.abi import PAGE_BYTES, Cause, EnvironmentPage, Registers
from exokernel.machine import cpu, interrupts, paging, serial
from exokernel.metal import Ptr, asm, export, i64, module_asm, naked, noreturn, offsetof, struct, u64

NMI, DOUBLE_FAULT, PAGE_FAULT, MACHINE_CHECK = 2, 8, 14, 18
BREAKPOINT = 3
EXCEPTIONS = 32
WITH_ERROR_CODE = (8, 10, 11, 12, 13, 14, 17, 21, 29, 30)  # SDM volume 3, table 6-1; AMD volume 2, 8.2
FATAL = (NMI, DOUBLE_FAULT, MACHINE_CHECK)  # never an application's doing
ENTRY_BYTES = 128 if trace.ON else 64
FATAL_STACK = 2  # IST2
ENVIRONMENT_PAGE = paging.OWN_PAGES
EXCEPTION_STACK = ENVIRONMENT_PAGE + PAGE_BYTES


def entry_text(vector: int) -> str:
    """The way in for one exception. `cs` at rsp + 8, or + 16 behind an error code, tells which ring it came from."""
    if vector in FATAL:
        prepare = f"push {vector << 16}" if vector not in WITH_ERROR_CODE else f"mov word ptr [rsp + 2], {vector}"
        return f"{prepare}\njmp kernel_exception_entry"
    if vector in WITH_ERROR_CODE:
        cause, cs = f"mov word ptr [rsp + 2], {vector}", 16
    else:
        cause, cs = f"push {vector << 16}", 8
    address = "mov rcx, cr2\npush rcx" if vector == PAGE_FAULT else ""
    return f"""
    test byte ptr [rsp + {cs}], 3
    jz 2f
    {cause}
    push rcx
    push r11
    {address}
    {trace.ENTER_EXCEPTION}
    xor ecx, ecx
    xchg ecx, dword ptr [{ENVIRONMENT_PAGE + offsetof(EnvironmentPage, "exception_entry")}]
    jrcxz 3f
    mov r11d, {cpu.USER_FLAGS}
    {trace.SYSRET}
2:  {cause}
    jmp kernel_exception_entry
3:  jmp unhandled_exception_entry
    """


module_asm(
    ".intel_syntax noprefix\n.globl exception_entries\n.balign 64\nexception_entries:\n"
    + "\n".join(f".balign {ENTRY_BYTES}\n{entry_text(vector)}" for vector in range(EXCEPTIONS))
    + "\n.att_syntax\n"
)


@struct
class KernelFrame:
    """What `kernel_exception_entry` leaves on the stack."""

    registers: Registers
    cause: Cause
    ip: u64
    cs: u64
    flags: u64
    sp: u64
    ss: u64


def initialize() -> None:
    """Fills in the gates of all exceptions."""
    entries = asm("mov rax, offset exception_entries", "={rax}", returns=u64)
    for vector in range(EXCEPTIONS):
        interrupts.set_gate(vector, entries + vector * ENTRY_BYTES, 0, 0)
    interrupts.set_gate(BREAKPOINT, entries + BREAKPOINT * ENTRY_BYTES, 0, 3)  # `int3` is for everybody
    interrupts.set_gate(NMI, entries + NMI * ENTRY_BYTES, FATAL_STACK, 0)
    interrupts.set_gate(DOUBLE_FAULT, entries + DOUBLE_FAULT * ENTRY_BYTES, FATAL_STACK, 0)
    interrupts.set_gate(MACHINE_CHECK, entries + MACHINE_CHECK * ENTRY_BYTES, FATAL_STACK, 0)


def unhandled(first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """An exception of an environment that has no handler, or whose handler was busy with one. Its registers are saved
    in its kernel page, except what is in the environment page. Returns the root to load.
    """
    page = environment.current()
    frame = Ptr[EnvironmentPage](paging.OWN_PAGES)[0].exception_frame
    page.context.registers.r11 = frame.r11
    vector = frame.cause.vector
    address = frame.address if vector == PAGE_FAULT else 0
    identifier = page.identifier
    ending.report_exception(identifier, frame, address, page.context.registers)
    return ending.end(identifier, ending.UNHANDLED + vector)


def reflect(cause: Cause) -> i64:
    """An exception that the kernel looked at first, and that is the application's. Its context is saved. Returns the
    root to load.
    """
    identifier = environment.current().identifier
    page = Ptr[EnvironmentPage](paging.OWN_PAGES)[0]
    entry = u64(page.exception_entry)
    page.exception_entry = 0
    environment.enter(identifier, page.exception_frame, entry, cause)
    if entry == 0:
        return unhandled(0, 0, 0, 0)
    return i64(environment.records[identifier].root)


@naked
@export
def kernel_exception_entry() -> None:
    """An exception in the kernel: the cause is pushed; runs on the stack that was in use. Returns to where the frame
    then says.
    """
    asm("""
        {environment.PUSH_ALL}
        cld
        mov rdi, rsp
        push rdi
        call {kernel_exception}
        pop rdi
        {environment.POP_ALL}
        add rsp, 8
        iretq
    """)


def kernel_exception(frame: KernelFrame) -> None:
    """Continues a copy of user memory that met a fault with its error, ends a handler, or ends the machine."""
    if frame.cause.vector == PAGE_FAULT:
        continuation = user_memory.continuation(frame.ip)
        if continuation == 0:
            continuation = handlers.continuation(frame.ip, frame.registers)
        if continuation != 0:
            frame.ip = continuation
            return
    panic(frame)


@noreturn
def panic(frame: KernelFrame) -> None:
    """Reports the exception and ends the machine."""
    cause = frame.cause
    print(f"panic vector={cause.vector:#x} error={cause.error:#x} address={cpu.page_fault_address():#x}", end="")
    print(f" ip={frame.ip:#x} sp={frame.sp:#x} flags={frame.flags:#x}", end="")
    ending.report_registers(frame.registers)
    serial.leave(1)
