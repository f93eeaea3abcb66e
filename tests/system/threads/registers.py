# SPDX-License-Identifier: MIT
"""Six threads, each with all registers and the carry flag filled with a pattern of its own, compute without ever giving
the processor away. Prints how many found something changed, and how often another thread had run meanwhile.
"""

from keeping import registers_kept

from exokernel.exos import thread
from exokernel.metal import Array, addr, u64, volatile_load

THREADS = 6
ROUNDS = 60
TURNS = 50_000

last: u64 = THREADS
turns: u64 = 0


def compute(number: u64) -> u64:
    global last, turns
    changed: u64 = 0
    for _ in range(ROUNDS):
        changed += u64(registers_kept((number + 1) << 32, TURNS) != 0)
        if volatile_load(addr(last)) != number:
            turns += 1
            last = number
    return changed


def main() -> None:
    handles: Array[u64, THREADS] = Array[u64, THREADS]()
    for i in range(THREADS):
        handles[i] = u64(thread.create(compute, i, 1))
    changed: u64 = 0
    for handle in handles:
        changed += thread.join(handle)
    print("changed", changed, "turns", turns)
