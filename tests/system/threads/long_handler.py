# SPDX-License-Identifier: MIT
"""One thread is always in a handler of exceptions when a slice ends. The other one has a turn after each all the same."""

from exokernel.exos import exceptions, thread
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import addr, asm, noinline, u8, u64, volatile_load

ROUNDS = 50

done: u64 = 0
turns: u64 = 0


@noinline
def answer(registers: Registers) -> u8:
    """Takes longer than two slices of 10,007 instructions."""
    for _ in range(10_000):
        asm("nop", "~{memory}")
    return Verdict.SKIP


def fault(number: u64) -> u64:
    global done
    for _ in range(ROUNDS):
        asm("ud2", "~{memory}")
    done = 1
    return 0


def count(number: u64) -> u64:
    global turns
    while volatile_load(addr(done)) == 0:
        turns += 1
        thread.give_way()
    return 0


def main() -> None:
    exceptions.handle(exceptions.UNDEFINED, answer)
    one = u64(thread.create(fault, 0, 1))
    two = u64(thread.create(count, 0, 1))
    thread.join(one)
    thread.join(two)
    print("turns", turns)
