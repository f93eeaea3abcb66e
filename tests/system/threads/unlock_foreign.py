# SPDX-License-Identifier: MIT
"""Unlocks what another thread holds."""

from exokernel.exos import thread
from exokernel.metal import u64

mutex: thread.Mutex = thread.Mutex()


def other(number: u64) -> u64:
    mutex.unlock()
    return 0


def main() -> None:
    mutex.lock()
    thread.join(u64(thread.create(other, 0, 1)))
    print("not reached")
