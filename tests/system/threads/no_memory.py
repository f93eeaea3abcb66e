# SPDX-License-Identifier: MIT
"""Stacks until memory is gone: an answer, and everything comes back."""

from exokernel.aegis.abi import Error
from exokernel.exos import aegis, thread
from exokernel.metal import Array, u64

gate: thread.Semaphore = thread.Semaphore()


def wait(number: u64) -> u64:
    gate.acquire()
    return number


def fill() -> u64:
    """As many threads as there is memory for; how many."""
    handles: Array[u64, thread.THREADS] = Array[u64, thread.THREADS]()
    count: u64 = 0
    result = thread.create(wait, count, 63)
    while result >= 0:
        handles[count] = u64(result)
        count += 1
        result = thread.create(wait, count, 63)
    assert result == Error.NO_FRAMES, "there is no other reason"
    for _ in range(count):
        gate.release()
    wrong: u64 = 0
    for i in range(count):
        wrong += u64(thread.join(handles[i]) != i)
    assert wrong == 0, "each returns its number"
    return count


def main() -> None:
    first = fill()
    free = aegis.system_page().frames_free
    print("same", fill() == first, "some", first > 2, "lost", free - aegis.system_page().frames_free)
