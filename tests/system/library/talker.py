# SPDX-License-Identifier: MIT
"""Prints many lines in pieces, giving the processor away in the middle of each. Environment 0, with which the machine
ends, waits for the others and then prints a line that is longer than the console keeps together.
"""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import u64


def alone() -> bool:
    count: u64 = 0
    for status in aegis.system_page().environments:
        if status.state != abi.State.FREE:
            count += 1
    return count == 1


def main() -> None:
    me = aegis.environment_page().identifier
    for i in range(200):
        print(f"<{me}", end=" ")
        aegis.yield_to(abi.ANY_ENVIRONMENT)
        print(i, end="")
        print(">")
    if me == 0:
        while not alone():
            aegis.yield_to(abi.ANY_ENVIRONMENT)
        for i in range(1500):
            print(i % 10, end="")
        print()
