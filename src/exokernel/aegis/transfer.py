# SPDX-License-Identifier: MIT
"""Protected control transfer: the processor goes on in another environment, at the entry that this one chose.

All registers but `rax`, `rcx` and `r11` stay as they are: they are the message. The callee finds the caller's number in
`rax`, written by the kernel. A synchronous transfer gives the callee this slice and all later ones of the caller, until
it transfers back; until then nobody else can call either of them. What the callee did on its own is put aside first, if
it has run since the last time, and it continues with it when the call is over. The ways in and out never touch the
caller's memory, so a transfer happens whole or not at all.

Who may call is the callee's business, so there is no capability here: it is told who calls.
"""

from exokernel.aegis import activation, environment, floating, processor, trace  # noqa: F401  (in assembly)
from exokernel.aegis.abi import ENVIRONMENTS, Call, EnvironmentPage, Error
from exokernel.aegis.environment import KERNEL_PAGE, NOBODY, UNKNOWN, KernelPage
from exokernel.machine import cpu, paging
from exokernel.metal import Ptr, align, asm, i64, naked, offsetof, u64

BACK = Call.TRANSFER_BACK
FLAGS = cpu.USER_FLAGS
PAGE = paging.OWN_PAGES
ENTRY = PAGE + offsetof(EnvironmentPage, "transfer_entry")
RETURN_ENTRY = PAGE + offsetof(EnvironmentPage, "transfer_return_entry")
IDENTIFIER = KERNEL_PAGE + offsetof(KernelPage, "identifier")
USER_IP = KERNEL_PAGE + offsetof(KernelPage, "user_ip")
CALLER = KERNEL_PAGE + offsetof(KernelPage, "caller")
NO_CALLEE = NOBODY << 8  # of `caller`, `callee`, `aside` and `keyed`, of which the last is the sign
PUSHED_RAX = 72  # behind PUSH_MESSAGE
CALLEE = KERNEL_PAGE + offsetof(KernelPage, "callee")


@naked
@align(64)
def transfer_entry() -> None:
    """The call `transfer`, `rdi` the callee. In its address space `r11` is the caller."""
    asm("""
        movzx eax, dil
        mov qword ptr [{USER_IP}], rcx
        mov rcx, qword ptr [{activation.roots} + rax*8]
        jrcxz 4f
        mov r11, qword ptr [{IDENTIFIER}]
        mov byte ptr [{CALLEE}], al
        mov cr3, rcx
        cmp dword ptr [{CALLER}], {activation.OPEN_LINKS}
        jne 5f
    2:
        mov ecx, dword ptr [{ENTRY}]
        jrcxz 3f
        mov byte ptr [{CALLER}], r11b
        mov eax, r11d
        mov r11d, {FLAGS}
        {trace.SYSRET}
    3:
        mov rax, {Error.NO_ENTRY}
        jmp {refuse}
    4:
        mov rax, {Error.NOT_RUNNABLE}
        jmp {return_to_user}
    5:
        mov qword ptr [{environment.USER_STACK}], rsp
        mov rsp, offset kernel_stack + {environment.STACK}
        {environment.PUSH_MESSAGE}
        cld
        call {make_room}
        mov qword ptr [rsp + {PUSHED_RAX}], rax
        {environment.POP_MESSAGE}
        mov rsp, qword ptr [{environment.USER_STACK}]
        test rax, rax
        jz 2b
        jmp {refuse}
    """)


@naked
def refuse() -> None:
    """Back in the caller, `r11`, with the error in `rax`; nothing has happened."""
    asm("""
        mov rcx, qword ptr [{activation.roots} + r11*8]
        mov cr3, rcx
        mov byte ptr [{CALLEE}], {NOBODY}
        jmp {return_to_user}
    """)


@naked
def return_to_user() -> None:
    """Continues at `user_ip`, all registers but `rcx` and `r11` as they are."""
    asm("""
        cmp byte ptr [{environment.KEYED}], 0
        jne 3f
    2:
        mov rcx, qword ptr [{USER_IP}]
        mov r11d, {FLAGS}
        {trace.SYSRET}
    3:
        mov qword ptr [{environment.USER_STACK}], rsp
        mov rsp, offset kernel_stack + {environment.STACK}
        {environment.PUSH_MESSAGE}
        cld
        call {floating.reach_keys}
        {environment.POP_MESSAGE}
        mov rsp, qword ptr [{environment.USER_STACK}]
        jmp 2b
    """)


def make_room() -> i64:
    """In the callee: puts aside what it does on its own. 0, or why it cannot be called."""
    page = environment.current()
    if page.caller != NOBODY or page.callee != NOBODY:
        return Error.BUSY
    if Ptr[EnvironmentPage](paging.OWN_PAGES)[0].transfer_entry == 0:
        return Error.NO_ENTRY
    activation.put_aside(page)
    if page.keyed:
        floating.reach_keys()
    return 0


@naked
@align(64)
def transfer_back_entry() -> None:
    """The call `transfer_back`: whoever waits continues at its return entry, with this environment's number in `rax`.
    An entry that it did not store is address 0, which is its own page fault.
    """
    asm("""
        movzx eax, byte ptr [{CALLER}]
        mov qword ptr [{USER_IP}], rcx
        mov rcx, qword ptr [{activation.roots} + rax*8]
        jrcxz 2f
        mov eax, dword ptr [{IDENTIFIER}]
        mov byte ptr [{CALLER}], {NOBODY}
        mov cr3, rcx
        mov ecx, dword ptr [{RETURN_ENTRY}]
        or dword ptr [{CALLER}], {NO_CALLEE}
        js 3f
        mov r11d, {FLAGS}
        {trace.SYSRET}
    3:
        mov qword ptr [{USER_IP}], rcx
        jmp {return_to_user}
    2:
        mov rcx, qword ptr [{USER_IP}]
        mov eax, {BACK}
        jmp switch_entry
    """)


def back(first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `transfer_back` of an environment whose answer nobody waits for: it continues with what it did on its
    own. Returns the root to load.
    """
    page = environment.current()
    if page.caller == NOBODY:
        page.context.registers.rax = u64(i64(Error.NO_CALLER))
        return processor.dispatch(page.identifier)
    page.caller = NOBODY
    return processor.after_service(page.identifier)


def asynchronous(target: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `transfer_asynchronous`; the caller's context is saved, and its registers are the message. Returns the
    root to load.
    """
    caller = environment.current()
    error = refusal(target)
    caller.context.registers.rax = u64(error)
    if error != 0:
        return processor.dispatch(caller.identifier)
    record = environment.records[target]
    page = record.kernel_page[0]
    activation.put_aside(page)
    environment.set_context(page.context, u64(record.page[0].transfer_asynchronous_entry), caller.context.sp)
    page.context.registers.copy_from(caller.context.registers)
    page.context.registers.rax = caller.identifier
    page.context.registers.rcx = 0
    page.context.registers.r11 = 0
    page.caller = UNKNOWN
    return processor.begin_service(target)


def refusal(target: u64) -> i64:
    """Why `target` cannot be called asynchronously; 0 if it can."""
    if target >= ENVIRONMENTS or activation.roots[target] == 0:
        return Error.NOT_RUNNABLE
    record = environment.records[target]
    page = record.kernel_page[0]
    if page.caller != NOBODY or page.callee != NOBODY or target == environment.current().identifier:
        return Error.BUSY
    if record.page[0].transfer_asynchronous_entry == 0:
        return Error.NO_ENTRY
    return 0
