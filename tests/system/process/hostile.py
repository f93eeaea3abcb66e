# SPDX-License-Identifier: MIT
"""A child that writes nonsense where the family keeps its table, while all of them use it. It may confuse the family:
anything may happen to it, but nothing to the machine or to strangers.
"""

from random_ends import chance

from exokernel.exos import aegis, process
from exokernel.exos.arguments import Arguments
from exokernel.metal import Ptr, u64, volatile_store

PROGRAMS = ["counting.py"]
ROUNDS = 200

none: Arguments = Arguments()


def nonsense() -> None:
    """Most words become anything, some small numbers: stages, environments."""
    for _ in range(64):
        word = chance(1 << 31) << 33 ^ chance(1 << 31) << 2
        if chance(3) == 0:
            word = chance(256) << 32 | chance(256) << 8 | chance(8)
        volatile_store(Ptr[u64](process.TABLE * 4096) + chance(512), word)


def use(turn: u64) -> None:
    match turn % 5:
        case 0:
            if process.fork() == 0:
                process.exit(1)
        case 1:
            process.spawn(b"counting", none)
        case 2:
            process.kill(process.at(chance(128)).word >> 32)
        case 3:
            process.try_wait(0)
            process.parent()
        case _:
            aegis.yield_to(255)


def main() -> None:
    process.attach()
    hostile = process.fork() == 0
    for turn in range(ROUNDS):
        if hostile:
            nonsense()
        use(turn)
    aegis.exit(0)
