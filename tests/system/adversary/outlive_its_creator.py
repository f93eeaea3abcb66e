# SPDX-License-Identifier: MIT
"""A child computes on after its creator has ended, makes calls of all kinds, and ends later."""

from family import lives, make, start

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import Array, addr, u64, volatile_load, volatile_store

words: Array[u64, 4] = Array[u64, 4]()  # gone with the creator: the child must not need it afterwards


def child() -> None:
    creator = words[1]
    volatile_store(addr(words[0]), 1)
    while lives(creator):
        aegis.yield_to(creator)
    aegis.exit(0)  # the stack went with the creator's memory: this is a page fault


def main() -> u64:
    words[1] = aegis.environment_page().identifier
    number = make(0)
    start(0, u64(child), 0)
    got = u64(aegis.slice_give(u64(aegis.slice_claim(abi.ANY)), number) != 0)
    while volatile_load(addr(words[0])) == 0:
        aegis.yield_to(number)
    return got
