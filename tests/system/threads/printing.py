# SPDX-License-Identifier: MIT
"""Four threads print letters, a few at a time; none is lost, none comes twice."""

from exokernel.exos import console, thread
from exokernel.metal import Array, u64

THREADS = 4
ROUNDS = 6_000


def write(number: u64) -> u64:
    for _ in range(ROUNDS):
        if number % 2 == 0:
            console.write(b"abcde")
        else:
            console.write(b"fghij")
    return 0


def main() -> None:
    handles: Array[u64, THREADS] = Array[u64, THREADS]()
    for i in range(THREADS):
        handles[i] = u64(thread.create(write, i, 1))
    for handle in handles:
        thread.join(handle)
