# SPDX-License-Identifier: MIT
"""The ways into the kernel and out of it: the system-call table, and the one place where environments are saved and
continued.

`syscall` leaves the caller's `rip` in `rcx`, its flags in `r11` and its stack in `rsp`, and jumps through ENTRIES by
the number in `al`, all 256 of which are filled. A call that is worth it is a few instructions of its own there. The
others go through `call_entry`, which takes the kernel's stack and calls the function in HANDLERS, or through
`switch_entry`, which saves the caller as an interrupt would, for those after which another environment may run: their
functions return the root to load. No register holds anything of the kernel's on the way out. A caller's `rip` is below
USER_LIMIT, so `sysretq` never meets a non-canonical address; the flags that `syscall` saved are the caller's own.
"""

from collections.abc import Callable
from typing import Final

from exokernel.aegis import (
    activation,  # noqa: F401  (in assembly)
    capability,
    console,
    creation,
    ending,
    environment,
    exceptions,
    floating,
    information,  # noqa: F401  (in assembly)
    lines,
    loading,
    memory,
    network,
    processor,
    revocation,
    sending,
    tlb,
    trace,  # noqa: F401  (in assembly)
    transfer,
)
from exokernel.aegis.abi import SLICES, Call, Context, EnvironmentPage, Error, SystemPage
from exokernel.aegis.environment import KERNEL_PAGE, KernelPage
from exokernel.machine import cpu, interrupts
from exokernel.metal import Array, align, asm, export, i64, naked, noreturn, offsetof, u64

Handler = Callable[[u64, u64, u64, u64], i64]

# Behind the 256 calls in HANDLERS stand the other causes to enter the kernel.
TIMER = 256
DEVICE = 257
UNHANDLED = 258
FLOATING = 259
BEGIN = 260
LINE = 261

PUSH_KEPT, POP_KEPT = environment.saving(("r11", "rcx", "rdi", "rsi", "rdx", "r8", "r9", "r10"))
CLEAR = "\n".join(f"xor {r}, {r}" for r in "eax ebx edx esi ebp r8d r9d r10d r12d r13d r14d r15d".split())

LAST_SLICE = SLICES - 1

SIGNED = 1 << 64  # assembly wants the kernel's addresses as negative numbers
YIELDED_IP = KERNEL_PAGE + offsetof(KernelPage, "yielded_ip")
YIELDED_SP = KERNEL_PAGE + offsetof(KernelPage, "yielded_sp")
CONTEXT = KERNEL_PAGE + offsetof(KernelPage, "context")
CONTEXT_IP = CONTEXT + offsetof(Context, "ip")
CONTEXT_SP = CONTEXT + offsetof(Context, "sp")
CONTEXT_SS = CONTEXT + offsetof(Context, "ss")
LINKS = KERNEL_PAGE + offsetof(KernelPage, "caller")
SLICE_START_ENTRY = exceptions.ENVIRONMENT_PAGE + offsetof(EnvironmentPage, "slice_start_entry")
SLICE_END_ENTRY = exceptions.ENVIRONMENT_PAGE + offsetof(EnvironmentPage, "slice_end_entry")
EVENT_ENTRY = exceptions.ENVIRONMENT_PAGE + offsetof(EnvironmentPage, "event_entry")
SLICE_OWNERS = offsetof(SystemPage, "slice_owners")
EXCESS = offsetof(SystemPage, "excess")
EXCEPTION_RCX = exceptions.EXCEPTION_STACK - 56
END_OF_INTERRUPT = interrupts.END_OF_INTERRUPT - SIGNED


# ---- system calls


@naked
@align(64)
@export
def system_call_entry() -> None:
    """LSTAR."""
    asm("""
        {trace.ENTER_CALL}
        movzx eax, al
        jmp qword ptr [{ENTRIES} + rax*8]
    """)


@naked
@align(64)
@export
def floating_call_entry() -> None:
    """LSTAR while floating-point registers are within reach."""
    asm("""
        {trace.ENTER_CALL}
        movzx eax, al
        jmp qword ptr [{FLOATING_ENTRIES} + rax*8]
    """)


@naked
@align(64)
def leave_floating_entry() -> None:
    """A call that gives the processor away by itself, while floating-point registers are within reach."""
    asm("""
        mov qword ptr [{environment.USER_STACK}], rsp
        mov rsp, offset kernel_stack + {environment.STACK}
        {environment.PUSH_MESSAGE}
        cld
        call {floating.leave}
        {environment.POP_MESSAGE}
        mov rsp, qword ptr [{environment.USER_STACK}]
        jmp qword ptr [{ENTRIES} + rax*8]
    """)


@naked
@align(64)
def null_entry() -> None:
    """The call `null`: its number, which is in `rax`, is its result."""
    asm("""
        {trace.SYSRET}
    """)


@naked
@align(64)
@export
def call_entry() -> None:
    """A call that returns to its caller."""
    asm("""
        mov qword ptr [{environment.USER_STACK}], rsp
        mov rsp, offset kernel_stack + {environment.STACK}
        {PUSH_KEPT}
        mov rcx, r8
        call qword ptr [{HANDLERS} + rax*8]
        {POP_KEPT}
        mov rsp, qword ptr [{environment.USER_STACK}]
        {trace.SYSRET}
    """)


@naked
@align(64)
@export
def switch_entry() -> None:
    """A call after which another environment may run: leaves what an interrupt would have pushed."""
    asm("""
        mov qword ptr [{CONTEXT_SS}], {cpu.USER_DATA}
        mov qword ptr [{CONTEXT_SP}], rsp
        mov rsp, {CONTEXT_SP}
        push r11
        push {cpu.USER_CODE}
        push rcx
        push rax
        jmp {save_context}
    """)


@naked
@align(64)
def yield_entry() -> None:
    """`yield_to` an environment that itself yielded: what the caller leaves is two words, and no register but the
    other's number, which is its own, reaches it. Everything else goes the long way.
    """
    asm("""
        movzx edi, dil
        mov qword ptr [{YIELDED_IP}], rcx
        mov qword ptr [{YIELDED_SP}], rsp
        mov rcx, qword ptr [{activation.runnable} + rdi*8]
        jrcxz 2f
        mov cr3, rcx
        xor ecx, ecx
        xchg rcx, qword ptr [{YIELDED_IP}]
        jrcxz 3f
        mov rsp, qword ptr [{YIELDED_SP}]
        mov r11d, {cpu.USER_FLAGS}
        {CLEAR}
        {trace.SYSRET}
    2:
        xchg rcx, qword ptr [{YIELDED_IP}]
        jmp {switch_entry}
    3:
        mov rsp, offset kernel_stack + {environment.STACK}
        cld
        call {processor.resume}
        jmp {continue_context}
    """)


@naked
@align(64)
def exception_return_entry() -> None:
    """Continues where the exception frame says. Of the address 32 bits count and of the flags those that are the
    application's own, so nothing in the frame can harm the return.
    """
    asm("""
        mov rsp, offset kernel_stack + {environment.STACK}
        push {cpu.USER_DATA}
        push qword ptr [{EXCEPTION_RCX} + 40]
        mov ecx, dword ptr [{EXCEPTION_RCX} + 32]
        and ecx, {cpu.OWN_FLAGS}
        or ecx, {cpu.USER_FLAGS}
        push rcx
        push {cpu.USER_CODE}
        mov ecx, dword ptr [{EXCEPTION_RCX} + 16]
        push rcx
        mov rax, qword ptr [{EXCEPTION_RCX} - 16]
        mov r11, qword ptr [{EXCEPTION_RCX} - 8]
        mov rcx, qword ptr [{EXCEPTION_RCX}]
        {trace.IRET}
    """)


# ---- interrupts, and exceptions without a handler


@naked
@align(64)
def timer_entry() -> None:
    """Runs on IST1, the upper end of the kernel page, where the processor has pushed the context's last part.

    The plain case is `processor.tick` in a few instructions: a slice ends, the next one's owner continues where it was
    interrupted. What else there may be is looked for here and done there.
    """
    asm("""
        {trace.ENTER_TIMER}
        {environment.PUSH_ALL}
        mov dword ptr [{END_OF_INTERRUPT}], 0
        rdtsc
        shl rdx, 32
        or rax, rdx
        cmp rax, qword ptr [{processor.earliest}]
        jae 2f
        cmp qword ptr [{processor.borrower}], {environment.NOBODY}
        jne 2f
        cmp dword ptr [{SLICE_END_ENTRY}], 0
        jne 2f
        cmp qword ptr [{floating.reachable}], 0
        jne 2f
        mov rax, qword ptr [{processor.ready}]
        mov rcx, qword ptr [{processor.position}]
        inc ecx
        ror rax, cl
        bsf rax, rax
        jz 2f
        add ecx, eax
        and ecx, {LAST_SLICE}
        movzx eax, byte ptr [{information.page} + {SLICE_OWNERS} + rcx]
        cmp dword ptr [{information.page} + {EXCESS} + rax*4], 0
        jne 2f
        mov qword ptr [{processor.position}], rcx
        mov rcx, qword ptr [{activation.roots} + rax*8]
        mov cr3, rcx
        xor ecx, ecx
        mov ds, ecx
        mov es, ecx
        mov fs, ecx
        mov gs, ecx
        cmp dword ptr [{LINKS}], {activation.FREE_LINKS}
        jne 3f
        cmp qword ptr [{YIELDED_IP}], 0
        jne 3f
        cmp dword ptr [{SLICE_START_ENTRY}], 0
        jne 3f
        cmp dword ptr [{EVENT_ENTRY}], 0
        jne 3f
        {environment.POP_ALL}
        {trace.IRET}
    2:
        mov eax, {TIMER}
        jmp {handle_saved}
    3:
        mov eax, {BEGIN}
        jmp {handle_saved}
    """)


@naked
@align(64)
def device_entry() -> None:
    """As the timer's; the kernel's own environment, which idles in ring 0, has no registers to save."""
    asm("""
        {trace.ENTER_DEVICE}
        test byte ptr [rsp + 8], 3
        jz 2f
        push rax
        mov eax, {DEVICE}
        jmp {save_context}
    2:
        mov eax, {DEVICE}
        jmp {handle_saved}
    """)


@naked
@align(64)
@export
def line_entry() -> None:
    """A device line, its number in `rax`, which is saved; else as the timer's."""
    asm("""
        {trace.ENTER_LINE}
        mov qword ptr [{lines.fired}], rax
        mov eax, {LINE}
        jmp {save_context}
    """)


@naked
@align(64)
def floating_entry() -> None:
    """Exception 7, on IST1 too: it must not touch the frame of an exception that the application is handling."""
    asm("""
        test byte ptr [rsp + 8], 3
        jz 2f
        {trace.ENTER_FLOATING}
        push rax
        mov eax, {FLOATING}
        jmp {save_context}
    2:
        push {floating.UNAVAILABLE << 16}
        jmp kernel_exception_entry
    """)


@naked
@align(64)
def stray_entry() -> None:
    """An interrupt that nobody asked for."""
    asm("""
        {trace.ENTER_STRAY}
        mov dword ptr [{END_OF_INTERRUPT}], 0
        {trace.IRET}
    """)


@naked
@export
def unhandled_exception_entry() -> None:
    """`rcx` and `r11` are in the environment page, as is all that the processor pushed."""
    asm("""
        mov rcx, qword ptr [{EXCEPTION_RCX}]
        mov rsp, {CONTEXT_IP}
        push rax
        mov eax, {UNHANDLED}
        jmp {save_context}
    """)


# ---- saving and continuing


@naked
@align(64)
def save_context() -> None:
    """Saves the registers after `rax` in the current kernel page, calls handler `rax` on the kernel's stack, continues
    at the root that it returns.

    Flags become the kernel's: an interrupt keeps the direction and alignment flags of the application.
    """
    asm("""
        {environment.PUSH_AFTER_RAX}
        jmp {handle_saved}
    """)


@naked
@align(64)
def handle_saved() -> None:
    """Calls handler `rax`, as `save_context` says, when all registers are saved that must be."""
    asm("""
        push 2
        popfq
        mov rsp, offset kernel_stack + {environment.STACK}
        mov rcx, r8
        call qword ptr [{HANDLERS} + rax*8]
        jmp {continue_context}
    """)


@naked
@align(64)
def continue_context() -> None:
    """Continues the environment whose root is in `rax` from its saved context. Segment registers are all that a
    context does not hold.
    """
    asm("""
        mov rcx, cr3
        cmp rax, rcx
        je 5f
        cmp qword ptr [{floating.reachable}], 0
        jne 3f
    4:
        mov cr3, rax
        xor ecx, ecx
        mov ds, ecx
        mov es, ecx
        mov fs, ecx
        mov gs, ecx
    5:
        cmp byte ptr [{environment.KEYED}], 0
        je 2f
        call {floating.reach_keys}
    2:
        mov rsp, {CONTEXT}
        {environment.POP_ALL}
        {trace.IRET}
    3:
        push rax
        push rax
        call {floating.leave}
        pop rax
        pop rax
        jmp 4b
    """)


@noreturn
def enter(root: u64) -> None:
    """Leaves the boot's path for good: continues the environment whose root is given."""
    asm("jmp {continue_context}", "{rax},~{memory}", root)
    cpu.stop()


@naked
def idle() -> None:
    """What the idle environment runs, in ring 0 with interrupts on, without a register."""
    asm("""
    2:
        hlt
        jmp 2b
    """)


def prepare_idle() -> None:
    """Gives the idle environment its context."""
    context = environment.records[environment.IDLE].kernel_page[0].context
    context.ip = u64(idle)
    context.cs = cpu.KERNEL_CODE
    context.flags = cpu.USER_FLAGS
    context.sp = asm("mov rax, offset kernel_stack + {environment.STACK}", "={rax}", returns=u64)
    context.ss = cpu.KERNEL_DATA


# ---- the tables


def no_call(first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """Every number without a call."""
    return Error.NO_CALL


CALLS = {
    Call.CONSOLE_WRITE: console.write,
    Call.EXIT: ending.exit,
    Call.FRAME_CLAIM: memory.claim,
    Call.FRAME_CLAIM_TABLE: memory.claim_table,
    Call.FRAME_CLAIM_COPY: memory.claim_copy,
    Call.TLB_INSERT: tlb.insert,
    Call.TLB_NODE: tlb.node,
    Call.YIELD_TO: processor.yield_to,
    Call.WAIT: processor.wait,
    Call.NETWORK_BIND: network.bind,
    Call.NETWORK_TRANSMIT: sending.transmit,
    Call.NETWORK_SEND: sending.send,
    Call.FILTER_BIND: network.filter_bind,
    Call.FILTER_REMOVE: network.filter_remove,
    Call.CAPTURE_BIND: network.capture_bind,
    Call.HANDLER_LOAD: loading.load,
    Call.HANDLER_ATTACH: loading.attach,
    Call.HANDLER_ALLOW: loading.allow,
    Call.HANDLER_COUNT: loading.count,
    Call.HANDLER_REMOVE: loading.remove,
    Call.HANDLER_CONTINUE: loading.go_on,
    Call.SHUTDOWN: ending.shutdown,
    Call.SLICE_CLAIM: processor.slice_claim,
    Call.SLICE_RELEASE: processor.slice_release,
    Call.SLICE_GIVE: processor.slice_give,
    Call.SLICE_TAKE: processor.slice_take,
    Call.FRAME_RELEASE: memory.release,
    Call.FRAME_BREAK: memory.break_bindings,
    Call.FRAME_PIN: memory.pin,
    Call.FRAME_GUARANTEE: memory.guarantee,
    Call.FRAME_GIVE: memory.give,
    Call.TLB_INSERT_BATCH: tlb.insert_batch,
    Call.TLB_INSERT_LARGE: tlb.insert_large,
    Call.TLB_PROTECT: tlb.protect,
    Call.TLB_REMOVE: tlb.remove,
    Call.TLB_NODE_REMOVE: tlb.node_remove,
    Call.CAPABILITY_MINT: capability.mint,
    Call.CAPABILITY_WEAKEN: capability.weaken,
    Call.BIND: capability.bind,
    Call.UNBIND: capability.unbind,
    Call.TLB_INSERT_BOUND: tlb.insert_bound,
    Call.ENVIRONMENT_CREATE: creation.create,
    Call.ENVIRONMENT_GIVE: creation.give,
    Call.ENVIRONMENT_NODE: creation.node,
    Call.ENVIRONMENT_SHARE: creation.share,
    Call.ENVIRONMENT_START: creation.start,
    Call.ENVIRONMENT_END: creation.end,
    Call.REVOKE: revocation.revoke,
    Call.FLOATING_POINT: floating.floating_point,
    Call.PROTECTION_KEYS: floating.protection_keys,
    Call.LINE_BIND: lines.line_bind,
    Call.LINE_UNMASK: lines.line_unmask,
    Call.CONSOLE_READ: lines.console_read,
    Call.TRANSFER_BACK: transfer.back,
    Call.TRANSFER_ASYNCHRONOUS: transfer.asynchronous,
}
OWN_ENTRIES = {
    Call.NULL: null_entry,
    Call.FRAME_CLAIM: memory.claim_entry,
    Call.FRAME_CLAIM_TABLE: memory.claim_table_entry,
    Call.EXIT: switch_entry,
    Call.YIELD_TO: yield_entry,
    Call.WAIT: switch_entry,
    Call.TLB_INSERT: tlb.insert_entry,
    Call.TLB_PROTECT: tlb.protect_entry,
    Call.TLB_INSERT_BOUND: tlb.insert_bound_entry,
    Call.EXCEPTION_RETURN: exception_return_entry,
    Call.TRANSFER: transfer.transfer_entry,
    Call.TRANSFER_BACK: transfer.transfer_back_entry,
    Call.TRANSFER_ASYNCHRONOUS: switch_entry,
}

HANDLERS: Final[Array[Handler, 262]] = Array[Handler, 262](
    [CALLS.get(number, no_call) for number in range(256)]
    + [revocation.tick, network.interrupt, exceptions.unhandled, floating.unavailable, processor.begin, lines.interrupt]
)
ENTRIES: Final[Array[Callable[[], None], 256]] = Array[Callable[[], None], 256](
    [OWN_ENTRIES.get(number, call_entry) for number in range(256)]
)
LEAVING = {
    Call.YIELD_TO: switch_entry,
    Call.TRANSFER: leave_floating_entry,
    Call.TRANSFER_BACK: leave_floating_entry,
}
FLOATING_ENTRIES: Final[Array[Callable[[], None], 256]] = Array[Callable[[], None], 256](
    [(OWN_ENTRIES | LEAVING).get(number, call_entry) for number in range(256)]
)
