# SPDX-License-Identifier: MIT
"""A well-behaved environment among others: waits until it is the last, and says what is left."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import u64


def others() -> u64:
    """How many environments there are besides this one."""
    count: u64 = 0
    for i in range(1, abi.ENVIRONMENTS):
        if aegis.system_page().environments[i].state != abi.State.FREE:
            count += 1
    return count


def main() -> None:
    rounds: u64 = 0
    while others() != 0 and rounds < 1_000_000:
        rounds += 1
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("others", others(), "free frames", aegis.system_page().frames_free)
