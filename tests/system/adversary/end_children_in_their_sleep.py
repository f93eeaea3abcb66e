# SPDX-License-Identifier: MIT
"""Children that sleep with and without a deadline, that have yielded, and that were never started, are ended and their numbers
used again, over and over.
"""

from family import later, make, start

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import u64

TURNS = 100


def sleep() -> None:
    while True:
        aegis.wait(later(1))


def sleep_for_good() -> None:
    while True:
        aegis.wait(abi.FOREVER)


def give_away() -> None:
    while True:
        aegis.yield_to(0)


def main() -> u64:
    got: u64 = 0
    for turn in range(TURNS):
        number = make(0)
        if turn % 4 != 0:
            entry = u64(sleep) if turn % 4 == 1 else (u64(sleep_for_good) if turn % 4 == 2 else u64(give_away))
            got += u64(start(0, entry, 0) != 0)
            aegis.yield_to(number)
        got += u64(aegis.environment_end(0, 0) != 0)
        got += u64(aegis.yield_to(number) == 0 and aegis.system_page().environments[number].state == abi.State.FREE)
    return got
