# SPDX-License-Identifier: MIT
"""Hundreds of threads come and go, in groups, with stacks of many sizes; handles of the gone are not those of the new;
all their memory comes back. Then as many as there can be, and more.
"""

from exokernel.aegis.abi import Error
from exokernel.exos import aegis, thread
from exokernel.metal import Array, u64

GROUPS = 60
MEMBERS = 10

handles: Array[u64, thread.THREADS] = Array[u64, thread.THREADS]()


def deep(depth: u64) -> u64:
    """Uses some stack, and the processor."""
    if depth == 0:
        thread.give_way()
        return 0
    return deep(depth - 1) + depth


def leave(number: u64) -> u64:
    if number % 3 == 0:
        thread.exit(deep(number))
    return deep(number)


def group(number: u64) -> u64:
    wrong: u64 = 0
    for i in range(MEMBERS):
        handles[i] = u64(thread.create(leave, i, 1 + (number * 7 + i * 3) % 20))
    for i in range(MEMBERS):
        wrong += u64(thread.join(handles[i]) != i * (i + 1) // 2)
    return wrong


def main() -> None:
    wrong = group(0)  # page tables come and stay
    first = handles[0]
    free = aegis.system_page().frames_free
    for i in range(GROUPS):
        wrong += group(i)
    print("wrong", wrong, "new handles", handles[0] != first)
    print("lost", free - aegis.system_page().frames_free)
    count: u64 = 1
    result = thread.create(leave, 0, 1)
    while result >= 0:
        handles[count] = u64(result)
        count += 1
        result = thread.create(leave, 0, 1)
    print("threads", count, "then", result == Error.NO_ROOM)
    for i in range(1, count):
        thread.join(handles[i])
    print("again", thread.join(u64(thread.create(leave, 2, 63))))
