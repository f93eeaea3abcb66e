# SPDX-License-Identifier: MIT
"""Needs more stack than it has; the other one goes on until then."""

from exokernel.exos import thread
from exokernel.metal import u64


def deep(depth: u64) -> u64:
    return 0 if depth == 0 else (deep(depth - 1) ^ depth) + 1


def other(number: u64) -> u64:
    print(deep(1_000_000))
    return 0


def main() -> None:
    thread.create(other, 0, 2)
    while True:
        pass
