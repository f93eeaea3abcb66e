# SPDX-License-Identifier: MIT
"""What the kernel's primitives cost an application, from its call site back to it.

Instructions under `-icount shift=0`, where the time-stamp counter counts them, of compiled Python; medians of many in
one machine. `timer-switch` is from the last instruction of one environment whose slice ends to the first of the next.
"""

from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.exhibit import Context, Figure, Run

HERE = Path(__file__).parent
PRIMITIVES = [HERE / "primitives.py"] * 3


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    for line in context.run(*PRIMITIVES).printed:
        yield context.figure(line.row, "instructions", line.values)
        yield from context.operation_figures(line.row, "", line.regions)
    yield context.figure("timer-switch", "instructions", switches(context.run(*[HERE / "ticks.py"] * 2)))
    for line, values in context.wall_figures(*PRIMITIVES):
        yield context.figure(line.row, "ns", values)


def switches(run: Run) -> list[int]:
    """From the last look of one environment to the first of the other, less one turn of the loop that looks."""
    turn = max(line.values[1] for line in run.printed if line.row == "turn")
    seen: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
    for line in run.printed:
        if line.row == "switch":
            number, before, after = line.values
            seen[number].append((before, after))
    found = []
    for one, other in ((0, 1), (1, 0)):
        arrivals = sorted(after for _, after in seen[other])
        for before, after in seen[one]:
            place = bisect_right(arrivals, before)
            if place < len(arrivals) and arrivals[place] < after:
                found.append(arrivals[place] - before - turn)
    return found
