# SPDX-License-Identifier: MIT
"""Every way in which an application may break the rules, one function each, named after what it tries.

As environment 0 it tries them all with a handler of its own and goes on after each. As environment n it has no handler
and tries number n - 1, which must be its end. `ATTACKS` says which exception is expected; the tests read it too.
"""

from collections.abc import Callable

from exokernel.aegis import abi
from exokernel.exos import aegis, exceptions
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, Ptr, addr, asm, u8, u16, u32, u64, volatile_load, volatile_store

KERNEL_TEXT = 0xFFFFFFFF80200000
DIRECT_MAP = 0xFFFF800000200000
WINDOW = 0x3FC00000
KERNEL_PAGE = 0x3FDFD000
DEVICES = 0xFFFFFFFFFEE00000
STACK_GUARD = abi.STACK_TOP - abi.STACK_BYTES
TRAP_FLAG = 0x100
DIVIDE, DEBUG, BREAKPOINT, UNDEFINED, NO_FLOATING_POINT, SELECTOR, PROTECTION, PAGE = 0, 1, 3, 6, 7, 11, 13, 14

code: Array[u8, 16] = Array[u8, 16]([0xC3] * 16)  # `ret`, in data


def read_kernel_text() -> None:
    volatile_load(Ptr[u64](KERNEL_TEXT))


def write_kernel_text() -> None:
    volatile_store(Ptr[u64](KERNEL_TEXT), 0)


def read_direct_map() -> None:
    volatile_load(Ptr[u64](DIRECT_MAP))


def read_kernel_page() -> None:
    volatile_load(Ptr[u64](KERNEL_PAGE))


def write_own_page_table() -> None:
    volatile_store(Ptr[u64](WINDOW + 8 * 0x400), 7)


def write_devices() -> None:
    volatile_store(Ptr[u32](DEVICES + 0xB0), 0)


def write_own_text() -> None:
    volatile_store(Ptr[u8](u64(write_own_text)), 0xC3)


def write_system_page() -> None:
    volatile_store(Ptr[u64](abi.SYSTEM_ADDRESS), 0)


def execute_stack() -> None:
    local = Array[u8, 1](b"\xc3")
    asm("call rax", "{rax},~{memory},~{flags}", u64(addr(local)))


def execute_data() -> None:
    asm("call rax", "{rax},~{memory},~{flags}", u64(addr(code)))


def execute_environment_page() -> None:
    asm("call rax", "{rax},~{memory},~{flags}", u64(abi.ENVIRONMENT_ADDRESS))


def jump_into_kernel() -> None:
    asm("call rax", "{rax},~{memory},~{flags}", u64(KERNEL_TEXT))


def jump_wild() -> None:
    asm("call rax", "{rax},~{memory},~{flags}", u64(0x30000000))


def follow_null() -> None:
    volatile_load(Ptr[u64](0))


def read_noncanonical() -> None:
    volatile_load(Ptr[u64](0x8000000000000000))


def overflow_stack() -> None:
    asm("mov rdx, rsp; mov rsp, rcx; push rax; mov rsp, rdx", "{rcx},~{rdx},~{memory}", u64(STACK_GUARD))


def divide_by_zero() -> None:
    asm("div ecx", "{rax},{rcx},{rdx},~{rax},~{rdx},~{flags}", u64(1), u64(0), u64(0))


def undefined_instruction() -> None:
    asm("ud2", "~{memory}")


def breakpoint() -> None:
    asm("int3", "~{memory}")


def halt() -> None:
    asm("hlt", "~{memory}")


def load_root() -> None:
    asm("mov cr3, rax", "{rax},~{memory}", u64(0))


def read_root() -> None:
    asm("mov rax, cr3", "~{rax},~{memory}")


def lift_protection() -> None:
    asm("mov cr4, rax", "{rax},~{memory}", u64(0x20))


def interrupts_off() -> None:
    asm("cli", "~{memory}")


def raise_privilege_then_interrupts_off() -> None:
    asm("pushfq; or dword ptr [rsp], 0x3000; popfq; cli", "~{memory},~{flags}")


def output_to_exit_port() -> None:
    asm("out dx, eax", "{dx},{eax},~{memory}", u16(0xF4), u32(0))


def input_from_port() -> None:
    asm("in al, dx", "{dx},~{eax},~{memory}", u16(0x60))


def write_model_register() -> None:
    asm("wrmsr", "{ecx},{eax},{edx},~{memory}", u32(0xC0000082), u32(0), u32(0))


def load_descriptors() -> None:
    asm("lgdt [rax]", "{rax},~{memory}", u64(addr(code)))


def read_descriptors() -> None:
    asm("sgdt [rax]", "{rax},~{memory}", u64(addr(code)))


def load_interrupts() -> None:
    asm("lidt [rax]", "{rax},~{memory}", u64(addr(code)))


def forget_translations() -> None:
    asm("invlpg [rax]", "{rax},~{memory}", u64(0))


def raise_timer_interrupt() -> None:
    asm("int 0x20", "~{memory}")


def raise_page_fault() -> None:
    asm("int 14", "~{memory}")


def raise_double_fault() -> None:
    asm("int 8", "~{memory}")


def old_system_call() -> None:
    asm("int 0x80", "~{memory}")


def load_kernel_segment() -> None:
    asm("mov ds, eax", "{eax},~{memory}", u32(0x10))


def load_wide_selector() -> None:
    asm("mov ds, eax", "{eax},~{memory}", u32(0xFFF3))


def lift_access_prevention() -> None:
    asm("stac", "~{memory}")


def vector_instruction() -> None:
    asm("xorps xmm0, xmm0", "~{memory}")


def floating_point_instruction() -> None:
    asm("fninit", "~{memory}")


def base_instruction() -> None:
    asm("wrfsbase rax", "{rax},~{memory}", u64(KERNEL_PAGE))


def step_through_call() -> None:
    """Were the trap flag not cleared on the way in, the kernel would be stepped through."""
    asm("pushfq; or dword ptr [rsp], 0x100; popfq; syscall", "{rax},~{rax},~{rcx},~{r11},~{memory},~{flags}", u64(0))


def fault_in_handler() -> None:
    aegis.environment_page().exception_entry = u32(u64(faulting_handler))
    asm("ud2", "~{memory}")


def faulting_handler() -> None:
    asm("hlt", "~{memory}")


def handler_nowhere() -> None:
    aegis.environment_page().exception_entry = 0xFFFFFFFF
    asm("ud2", "~{memory}")


def handler_without_stack() -> None:
    """The handler is entered with the kernel's stack pointer, which it cannot use."""
    aegis.environment_page().exception_entry = u32(u64(pushing_handler))
    asm("ud2", "~{memory}")


def pushing_handler() -> None:
    asm("push rax", "~{memory}")


def event_entry_nowhere() -> None:
    page = aegis.environment_page()
    page.pending = abi.Event.NETWORK
    page.event_entry = 0xFFFFFFFF
    aegis.yield_to(abi.ANY_ENVIRONMENT)


def jump_noncanonical() -> None:
    asm("jmp rax", "{rax},~{memory}", u64(0x8000000000000000))


def fall_off_the_program() -> None:
    """A failed assertion has nowhere to go on."""
    assert u64(addr(code)) == 0, "never"


def system_return() -> None:
    asm("sysretq", "{rcx},{r11},~{memory}", u64(KERNEL_TEXT), u64(2))


ATTACKS: dict[Callable[[], None], tuple[int, ...]] = {
    read_kernel_text: (PAGE,),
    write_kernel_text: (PAGE,),
    read_direct_map: (PAGE,),
    read_kernel_page: (PAGE,),
    write_own_page_table: (PAGE,),
    write_devices: (PAGE,),
    write_own_text: (PAGE,),
    write_system_page: (PAGE,),
    execute_stack: (PAGE,),
    execute_data: (PAGE,),
    execute_environment_page: (PAGE,),
    jump_into_kernel: (PAGE,),
    jump_wild: (PAGE,),
    follow_null: (PAGE,),
    read_noncanonical: (PROTECTION,),
    overflow_stack: (PAGE,),
    divide_by_zero: (DIVIDE,),
    undefined_instruction: (UNDEFINED,),
    breakpoint: (BREAKPOINT,),
    halt: (PROTECTION,),
    load_root: (PROTECTION,),
    read_root: (PROTECTION,),
    lift_protection: (PROTECTION,),
    interrupts_off: (PROTECTION,),
    raise_privilege_then_interrupts_off: (PROTECTION,),
    output_to_exit_port: (PROTECTION,),
    input_from_port: (PROTECTION,),
    write_model_register: (PROTECTION,),
    load_descriptors: (PROTECTION,),
    read_descriptors: (PROTECTION,),  # UMIP
    load_interrupts: (PROTECTION,),
    forget_translations: (PROTECTION,),
    raise_timer_interrupt: (PROTECTION,),
    raise_page_fault: (PROTECTION,),
    raise_double_fault: (PROTECTION,),
    old_system_call: (PROTECTION,),
    load_kernel_segment: (PROTECTION,),
    load_wide_selector: (PROTECTION,),
    lift_access_prevention: (UNDEFINED, PROTECTION),  # the manuals differ
    vector_instruction: (NO_FLOATING_POINT,),
    floating_point_instruction: (NO_FLOATING_POINT,),
    base_instruction: (UNDEFINED,),
    system_return: (PROTECTION,),
    step_through_call: (DEBUG,),
}
# No handler can go on after these: only environments without one try them.
FATAL: dict[Callable[[], None], tuple[int, ...]] = {
    fault_in_handler: (PROTECTION,),
    handler_nowhere: (PAGE,),
    handler_without_stack: (PAGE,),
    event_entry_nowhere: (PAGE,),
    jump_noncanonical: (PROTECTION, PAGE),  # QEMU takes the jump and fails to fetch
    fall_off_the_program: (UNDEFINED,),
}
SURVIVABLE = len(ATTACKS)
COUNT = SURVIVABLE + len(FATAL)
functions: Array[Callable[[], None], COUNT] = Array[Callable[[], None], COUNT]([*ATTACKS, *FATAL])

handled: u64 = 0
last: u64 = 0


def report(registers: Registers) -> u8:
    """Notes the exception and goes on behind the instruction."""
    global handled, last
    handled += 1
    last = registers.cause.vector
    if last == DEBUG:
        registers.flags &= ~u64(TRAP_FLAG)
    return Verdict.SKIP


def main() -> None:
    number = aegis.environment_page().identifier
    if number != 0:
        functions[number - 1]()
        print("survived", number - 1)
        return
    for vector in range(exceptions.VECTORS):
        exceptions.handle(vector, report)
    for i in range(SURVIVABLE):
        before = handled
        functions[i]()
        print("attack", i, "exceptions", handled - before, "vector", last)
    print("done")
