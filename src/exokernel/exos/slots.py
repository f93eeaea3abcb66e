# SPDX-License-Identifier: MIT
"""Which of many equal things are taken: one bit each, set when it is. `bindings` are the environment's binding slots;
pages of a region, or anything else that is counted, have a map of their own. Pure: what the things are is the caller's
business. Work is bounded by the length of the map.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.metal import Array, Span, aligned, count_trailing_zeros, placed, u64

NOTHING = 0xFFFF_FFFF_FFFF_FFFF  # take: there are not as many side by side
FULL = 0xFFFF_FFFF_FFFF_FFFF

NONE: Final[Array[u64, abi.BINDINGS // 64]] = Array[u64, abi.BINDINGS // 64]([1, 0])  # slot 0 is the process table's
HANDLERS = ".data.handlers"  # what the handler of page faults writes
bindings: Array[u64, abi.BINDINGS // 64] = placed(HANDLERS, aligned(16, Array[u64, abi.BINDINGS // 64]([1, 0])))


def take(taken: Span[u64], count: u64) -> u64:
    """Take the first `count` (at least 1) that are free and side by side. Returns the first of them, or NOTHING."""
    at: u64 = 0
    run: u64 = 0
    while at < len(taken) * 64:
        if at % 64 == 0 and taken[at // 64] == FULL:
            at += 64
            run = 0
            continue
        run = 0 if is_taken(taken, at) else run + 1
        at += 1
        if run != 0 and run == count:
            mark(taken, at - count, count)
            return at - count
    return NOTHING


def is_taken(taken: Span[u64], number: u64) -> bool:
    """Whether one is taken; traps when the map has no such number."""
    return taken[number // 64] >> number % 64 & 1 != 0


def mark(taken: Span[u64], first: u64, count: u64) -> None:
    """Take `count` from `first` on, whether they are free or not."""
    while count != 0:
        bits = min(count, 64 - first % 64)
        taken[first // 64] |= u64(FULL) >> (64 - bits) << first % 64
        first += bits
        count -= bits


def release(taken: Span[u64], first: u64, count: u64) -> None:
    """Free `count` from `first` on, whether they are taken or not."""
    for number in range(first, first + count):
        taken[number // 64] &= (u64(1) << number % 64) ^ FULL


def free_from(taken: Span[u64], first: u64, limit: u64, wanted: u64) -> tuple[u64, u64]:
    """The first free one from `first` on and below `limit`, and how many of those wanted are free from there on."""
    while first < limit and is_taken(taken, first):
        first += count_trailing_zeros(~(taken[first // 64] >> first % 64))  # to the next bit that is not set
    end = first
    wanted = min(wanted, limit - first)
    while end - first < wanted:
        above = taken[end // 64] >> end % 64
        if above & 1:
            break
        end += count_trailing_zeros(above) if above != 0 else 64 - end % 64
    return first, min(end - first, wanted)
