# SPDX-License-Identifier: MIT
"""Eight threads fault all the time and go on by their handler, print, and use the heap, under preemption. Nothing of one
gets into another.
"""

from exokernel.exos import exceptions, heap, thread
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, Ptr, asm, u8, u64

THREADS = 8
ROUNDS = 4_000


def answer(registers: Registers) -> u8:
    """What is undefined triples `rdi`."""
    work: u64 = 0
    for i in range(registers.rdi % 64):
        work += i
    registers.rax = registers.rdi * 3 + (work & 0)
    return Verdict.SKIP


def work(number: u64) -> u64:
    wrong: u64 = 0
    for i in range(ROUNDS):
        asked = number * ROUNDS + i
        if asm("ud2", "={rax},{rdi},~{memory}", asked, returns=u64) != asked * 3:
            wrong += 1
        if i % 16 == 0:
            block = Ptr[u64](heap.allocate(64 + number * 8))
            block[0] = asked
            block[7] = asked
            if i % 256 == 0:
                print(f"{number}{number}{number}")
            wrong += u64(block[0] != asked or block[7] != asked)
            heap.release(Ptr[u8](block))
    return wrong


def main() -> None:
    exceptions.handle(exceptions.UNDEFINED, answer)
    handles: Array[u64, THREADS] = Array[u64, THREADS]()
    for i in range(THREADS):
        handles[i] = u64(thread.create(work, i, 1))
    wrong: u64 = 0
    for handle in handles:
        wrong += thread.join(handle)
    print("wrong", wrong)
