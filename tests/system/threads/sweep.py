# SPDX-License-Identifier: MIT
"""One thread computes with all registers, faults and goes on, and never gives the processor away by itself; the other
comes to each of its switches, faults and locks after another number of instructions, so that slices end between
any two instructions of them. Prints what was wrong, and how often the second one's turn came late.
"""

from keeping import registers_kept

from exokernel.exos import exceptions, thread
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import addr, asm, noinline, u8, u64, volatile_load

SLICE = 10_007  # nanoseconds, and instructions
SWEPT = 1200  # more than what happens between the beginning of a slice and the end of what is tried
TURNS = 400

seen: u64 = 0  # when the second thread last gave the processor away
done: u64 = 0
late: u64 = 0
handled: u64 = 0
mutex: thread.Mutex = thread.Mutex()


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
        wrong += u64(registers_kept(number, TURNS) != 0)
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
