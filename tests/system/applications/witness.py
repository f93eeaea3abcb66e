# SPDX-License-Identifier: MIT
"""A well-behaved environment among others: counts until it is the last, and says how many it saw end."""

from exokernel.aegis import abi
from exokernel.metal import u64


def others() -> u64:
    """How many environments there are besides this one."""
    count: u64 = 0
    for i in range(1, abi.ENVIRONMENTS):
        if abi.system_page().environments[i].state != abi.State.FREE:
            count += 1
    return count


def main() -> None:
    first = others()
    free = abi.system_page().frames_free
    rounds: u64 = 0
    while others() != 0 and rounds < 100_000:
        rounds += 1
        abi.yield_to(abi.ANY_ENVIRONMENT)
    print("others", first, "left", others(), "frames came back", abi.system_page().frames_free > free)
