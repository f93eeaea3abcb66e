# SPDX-License-Identifier: MIT
"""Four threads keep their vector registers, a fifth that did not ask destroys them; none of the four may notice."""

from exokernel.exos import thread
from exokernel.metal import Array, addr, asm, u64, volatile_load

THREADS = 4
ROUNDS = 2_000

done: u64 = 0


def keep(number: u64) -> u64:
    global done
    assert thread.keep_floating() == 0, "there is memory"
    wrong: u64 = 0
    asm("movq xmm0, rdi; movq xmm15, rdi", "{rdi}", number + 1)
    for i in range(ROUNDS):
        for _ in range(500):
            asm("nop", "~{memory}")
        if i % 100 == 0:
            thread.give_way()
        found = asm("movq rax, xmm0; movq rdx, xmm15; shl rdx, 8; or rax, rdx", "={rax},~{rdx},~{flags}", returns=u64)
        wrong += u64(found != (number + 1) << 8 | (number + 1))
    done += 1
    return wrong


def destroy(number: u64) -> u64:
    count: u64 = 0
    while volatile_load(addr(done)) < THREADS:
        asm("movq xmm0, rdi; movq xmm15, rdi", "{rdi}", u64(0xDEAD))
        count += 1
    return u64(count > 100)


def main() -> None:
    handles: Array[u64, THREADS] = Array[u64, THREADS]()
    for i in range(THREADS):
        handles[i] = u64(thread.create(keep, i, 1))
    thread.sleep(1_000_000)
    vandal = u64(thread.create(destroy, 0, 1))
    wrong: u64 = 0
    for handle in handles:
        wrong += thread.join(handle)
    print("wrong", wrong, "destroyed", thread.join(vandal))
