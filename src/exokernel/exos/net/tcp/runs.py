# SPDX-License-Identifier: MIT
"""A few runs of sequence numbers, in order, that neither touch nor overlap: what has arrived before what precedes it,
here (`reassembly`) or there (`recovery`). Pure.
"""

from exokernel.exos.net.tcp.sequence import Sequence
from exokernel.metal import Array, struct, u8, u64

RUNS = 4


@struct
class Run:
    """Numbers from `start` up to, not including, `end`."""

    start: Sequence
    end: Sequence


@struct
class Runs:
    count: u8
    latest: u8  # the one that was added or grew last
    row: Array[Run, RUNS]


def has(runs: Runs, start: Sequence, end: Sequence) -> bool:
    """Whether the numbers from `start` up to `end` are all there."""
    for i in range(runs.count):
        if not start.before(runs.row[i].start) and not end.after(runs.row[i].end):
            return True
    return False


def add(runs: Runs, start: Sequence, end: Sequence) -> bool:
    """Numbers from `start` up to `end`, at least one, are there too; False if that would be a run too many."""
    row = runs.row
    count = u64(runs.count)
    first: u64 = 0  # the run that it touches or that comes behind it
    while first < count and row[first].end.before(start):
        first += 1
    last = first  # one behind the last run that it touches
    new_start, new_end = start, end
    while last < count and not row[last].start.after(end):
        if row[last].start.before(new_start):
            new_start = row[last].start
        if row[last].end.after(new_end):
            new_end = row[last].end
        last += 1
    if last == first:
        if count == RUNS:
            return False
        i = count
        while i > first:
            row[i].copy_from(row[i - 1])
            i -= 1
        runs.count += 1
    else:
        for i in range(last, count):
            row[first + 1 + i - last].copy_from(row[i])
        runs.count -= u8(last - first - 1)
    row[first].start = new_start
    row[first].end = new_end
    runs.latest = u8(first)
    return True


def drop_first(runs: Runs) -> None:
    """The first run is of no interest any more."""
    for i in range(1, runs.count):
        runs.row[i - 1].copy_from(runs.row[i])
    runs.count -= 1
    if runs.latest != 0:
        runs.latest -= 1
