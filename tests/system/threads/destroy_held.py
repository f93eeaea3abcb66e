# SPDX-License-Identifier: MIT
"""Destroys what another thread holds."""

from exokernel.exos import thread
from exokernel.metal import u64

mutex: thread.Mutex = thread.Mutex()


def other(number: u64) -> u64:
    mutex.lock()
    return 0


def main() -> None:
    thread.create(other, 0, 1)
    thread.give_way()
    mutex.destroy()
    print("not reached")
