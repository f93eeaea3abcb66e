# SPDX-License-Identifier: MIT
"""What the applications beside this file have in common."""

from exokernel.aegis import abi
from exokernel.exos import aegis, shared
from exokernel.metal import u64


def next_random(seed: u64) -> u64:
    return seed * 6364136223846793005 + 1442695040888963407


def others() -> u64:
    """How many environments there are besides environment 0."""
    count: u64 = 0
    for number in range(1, abi.ENVIRONMENTS):
        count += u64(shared.alive(shared.partner(number)))
    return count


def wait_for_others() -> None:
    while others() != 0:
        aegis.yield_to(abi.ANY_ENVIRONMENT)


def expect(what: str, good: bool) -> None:
    if not good:
        print("wrong:", what)
