# SPDX-License-Identifier: MIT
"""Two threads that each want what the other has."""

from exokernel.exos import thread
from exokernel.metal import addr, u64, volatile_load

mutex: thread.Mutex = thread.Mutex()
second: thread.Mutex = thread.Mutex()
taken: u64 = 0  # the second one is


def other(number: u64) -> u64:
    global taken
    second.lock()
    taken = 1
    mutex.lock()
    return 0


def main() -> None:
    mutex.lock()
    thread.create(other, 0, 1)
    while volatile_load(addr(taken)) == 0:
        thread.give_way()
    second.lock()
    print("not reached")
