# SPDX-License-Identifier: MIT
"""Two threads that each want what the other has."""

from exokernel.exos import thread
from exokernel.metal import u64

mutex: thread.Mutex = thread.Mutex()
second: thread.Mutex = thread.Mutex()


def other(number: u64) -> u64:
    second.lock()
    mutex.lock()
    return 0


def main() -> None:
    mutex.lock()
    thread.create(other, 0, 1)
    thread.give_way()
    second.lock()
    print("not reached")
