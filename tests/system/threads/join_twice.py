# SPDX-License-Identifier: MIT
"""Joins a thread for the second time."""

from exokernel.exos import thread
from exokernel.metal import u64


def other(number: u64) -> u64:
    pass
    return 0


def main() -> None:
    handle = u64(thread.create(other, 0, 1))
    thread.join(handle)
    thread.join(handle)
    print("not reached")
