# SPDX-License-Identifier: MIT
"""One thread computes with all registers, faults and goes on, and never gives the processor away by itself; the other
comes to each of its switches, faults and locks after another number of instructions, so that slices end between
any two instructions of them. Prints what was wrong, and how often the second one's turn came late.
"""

from exokernel.exos import exceptions, thread
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import addr, asm, naked, noinline, u8, u64, volatile_load

SLICE = 10_007  # nanoseconds, and instructions
SWEPT = 1200  # more than what happens between the beginning of a slice and the end of what is tried
TURNS = 400

seen: u64 = 0  # when the second thread last gave the processor away
done: u64 = 0
late: u64 = 0
handled: u64 = 0
mutex: thread.Mutex = thread.Mutex()


@naked
def registers_kept(base: u64) -> u64:
    """Fills every register with a number of its own and sets the carry flag, counts down TURNS, then compares: 0 if none
    has changed.
    """
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        lea rcx, [rdi + 1]
        lea rdx, [rdi + 2]
        lea rbx, [rdi + 3]
        lea rbp, [rdi + 4]
        lea rsi, [rdi + 5]
        lea r8, [rdi + 6]
        lea r9, [rdi + 7]
        lea r10, [rdi + 8]
        lea r11, [rdi + 9]
        lea r12, [rdi + 10]
        lea r13, [rdi + 11]
        lea r14, [rdi + 12]
        lea r15, [rdi + 13]
        mov eax, {TURNS}
        stc
    2:
        dec rax
        jnz 2b
        jnc 3f
        sub rcx, rdi
        sub rdx, rdi
        sub rbx, rdi
        sub rbp, rdi
        sub rsi, rdi
        sub r8, rdi
        sub r9, rdi
        sub r10, rdi
        sub r11, rdi
        sub r12, rdi
        sub r13, rdi
        sub r14, rdi
        sub r15, rdi
        xor rcx, 1
        xor rdx, 2
        xor rbx, 3
        xor rbp, 4
        xor rsi, 5
        xor r8, 6
        xor r9, 7
        xor r10, 8
        xor r11, 9
        xor r12, 10
        xor r13, 11
        xor r14, 12
        xor r15, 13
        mov rax, rcx
        or rax, rdx
        or rax, rbx
        or rax, rbp
        or rax, rsi
        or rax, r8
        or rax, r9
        or rax, r10
        or rax, r11
        or rax, r12
        or rax, r13
        or rax, r14
        or rax, r15
        jmp 4f
    3:
        mov eax, 1
    4:
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    """)


def answer(registers: Registers) -> u8:
    """What is undefined triples `rdi`."""
    global handled
    handled += 1
    registers.rax = registers.rdi * 3
    return Verdict.SKIP


def ask(number: u64) -> u64:
    """0 if the handler answered this question."""
    return asm("ud2", "={rax},{rdi},~{memory}", number, returns=u64) ^ (number * 3)


def compute(number: u64) -> u64:
    global late
    wrong: u64 = 0
    i: u64 = 0
    while volatile_load(addr(done)) == 0:
        wrong += u64(registers_kept(number) != 0)
        wrong += u64(ask(i) != 0)
        before = volatile_load(addr(seen))
        if read_timestamp() - before > 9 * SLICE:  # the other one may have had turns in this line
            late += 1
        i += 1
    return wrong


@noinline
def spin(instructions: u64) -> None:
    """Takes that many, and a few more."""
    if instructions % 2 != 0:
        asm("nop", "~{memory}")
    asm("2: dec rdi; jnz 2b", "{rdi},~{rdi},~{flags}", instructions // 2)


def come(number: u64) -> u64:
    global seen, done
    wrong: u64 = 0
    for i in range(SWEPT * 3):
        spin(SLICE - SWEPT + i // 3)
        if i % 3 == 0:
            wrong += u64(ask(i) != 0)
        elif i % 3 == 1:
            mutex.lock()
            mutex.unlock()
        seen = read_timestamp()
        thread.give_way()
    done = 1
    return wrong


def main() -> None:
    global seen
    exceptions.handle(exceptions.UNDEFINED, answer)
    seen = read_timestamp()
    one = u64(thread.create(compute, 1 << 32, 1))
    two = u64(thread.create(come, 0, 1))
    wrong = thread.join(two) + thread.join(one)
    print("wrong", wrong, "late", late, "handled", handled)
