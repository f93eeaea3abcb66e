# SPDX-License-Identifier: MIT
"""What a handler can do: repair and resume, skip, map a page on demand, and leave every register as it was. The exit
status is the number of the check that failed.
"""

from exokernel.aegis import abi
from exokernel.exos import aegis, exceptions
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, Ptr, asm, i32, naked, u8, u64, volatile_load, volatile_store

EMPTY = 0x2000_0000
PAGES = 8
faults: u64 = 0
seen: u64 = 0
saved: Array[u64, 16] = Array[u64, 16]()


def divisor_is_three(registers: Registers) -> u8:
    registers.rcx = 3
    return Verdict.RESUME


def map_page(registers: Registers) -> u8:
    """Demand-zero memory in four lines."""
    global faults
    faults += 1
    page = registers.address // abi.PAGE_BYTES
    frame = aegis.frame_claim(abi.ANY)
    if frame < 0:
        return Verdict.END
    if aegis.tlb_insert(page, u64(frame), abi.Right.WRITE) == abi.Error.NO_NODE:
        node = aegis.frame_claim(abi.ANY)
        if node < 0 or aegis.tlb_node(page, u64(node)) != 0:
            return Verdict.END
        aegis.tlb_insert(page, u64(frame), abi.Right.WRITE)
    return Verdict.RESUME


def count(registers: Registers) -> u8:
    global seen
    seen += 1
    return Verdict.SKIP


def return_to_the_caller(registers: Registers) -> u8:
    """What SKIP does when the instruction could not be fetched, by hand."""
    registers.ip = Ptr[u64](registers.rsp)[0]
    registers.rsp += 8
    return Verdict.RESUME


@naked
def all_registers() -> u64:
    """Number every register, fault, and see whether each still has its number; flags too (carry set, zero clear)."""
    asm(
        """
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov eax, 1
        mov ebx, 2
        mov ecx, 3
        mov edx, 4
        mov esi, 5
        mov edi, 6
        mov ebp, 7
        mov r8d, 8
        mov r9d, 9
        mov r10d, 10
        mov r11d, 11
        mov r12d, 12
        mov r13d, 13
        mov r14d, 14
        mov r15d, 15
        stc
        ud2
        jnc 2f
        lea rax, [rax + rbx + 0]
        lea rcx, [rcx + rdx]
        lea rsi, [rsi + rdi]
        lea rbp, [rbp + r8]
        lea r9, [r9 + r10]
        lea r11, [r11 + r12]
        lea r13, [r13 + r14]
        imul rcx, rcx, 3
        imul rsi, rsi, 5
        imul rbp, rbp, 7
        imul r9, r9, 11
        imul r11, r11, 13
        imul r13, r13, 17
        imul r15, r15, 19
        add rax, rcx
        add rax, rsi
        add rax, rbp
        add rax, r9
        add rax, r11
        add rax, r13
        add rax, r15
        2:
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
        """
    )


REGISTERS = (
    (1 + 2) + (3 + 4) * 3 + (5 + 6) * 5 + (7 + 8) * 7 + (9 + 10) * 11 + (11 + 12) * 13 + (13 + 14) * 17 + 15 * 19
)


def main() -> i32:
    exceptions.handle(exceptions.DIVIDE, divisor_is_three)
    quotient = asm("div rcx", "={rax},{rax},{rcx},{rdx},~{rdx},~{flags}", u64(300), u64(0), u64(0), returns=u64)
    if quotient != 100:
        return 1

    exceptions.handle(exceptions.PAGE, map_page)
    for i in range(PAGES):
        if volatile_load(Ptr[u64](EMPTY + i * abi.PAGE_BYTES)) != 0:
            return 2
        volatile_store(Ptr[u64](EMPTY + i * abi.PAGE_BYTES), i + 1)
    for i in range(PAGES):
        if volatile_load(Ptr[u64](EMPTY + i * abi.PAGE_BYTES)) != i + 1:
            return 3
    if faults != PAGES:
        return 4

    exceptions.handle(exceptions.UNDEFINED, count)
    if all_registers() != REGISTERS:
        return 5
    for _ in range(10000):
        asm("ud2", "~{memory}")
    if seen != 10001:
        return 6

    exceptions.handle(exceptions.PAGE, return_to_the_caller)
    asm("call rax", "{rax},~{memory},~{flags}", u64(0x3000_0000))
    print("done")
    return 0
