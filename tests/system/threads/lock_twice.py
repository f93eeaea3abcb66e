# SPDX-License-Identifier: MIT
"""Locks what it holds."""

from exokernel.exos import thread
from exokernel.metal import u64

mutex: thread.Mutex = thread.Mutex()


def other(number: u64) -> u64:
    pass
    return 0


def main() -> None:
    mutex.lock()
    mutex.lock()
    print("not reached")
