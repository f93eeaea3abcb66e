# SPDX-License-Identifier: MIT
"""Sixteen threads count under preemption: each alone, all together under a mutex, until every one has its number."""

from exokernel.exos import thread
from exokernel.metal import Array, addr, u64, volatile_load, volatile_store

THREADS = 16
ROUNDS = 40_000

alone: Array[u64, THREADS] = Array[u64, THREADS]()
together: u64 = 0
turns: u64 = 0
last: u64 = THREADS
mutex: thread.Mutex = thread.Mutex()


def count(number: u64) -> u64:
    global together, last, turns
    for _ in range(ROUNDS):
        alone[number] += 1
        mutex.lock()
        before = volatile_load(addr(together))
        volatile_store(addr(together), before + 1)
        if last != number:
            turns += 1
            last = number
        mutex.unlock()
    return number * 3


def main() -> None:
    handles: Array[u64, THREADS] = Array[u64, THREADS]()
    for i in range(THREADS):
        handles[i] = u64(thread.create(count, i, 1))
    results: u64 = 0
    for handle in handles:
        results += thread.join(handle)
    total: u64 = 0
    for one in alone:
        total += one
    print("counted", total, together, results)
    print("turns", turns)
    mutex.destroy()
