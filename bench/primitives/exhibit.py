# SPDX-License-Identifier: MIT
"""What the kernel's primitives cost an application, from its call site back to it.

Instructions under `-icount shift=0`, where the time-stamp counter counts them, of compiled Python; medians of many in
one machine. `limit` is hand-written assembly for the same machine that does nothing else, measured in a study before
this kernel was written. `paper-exos` is what Engler, Kaashoek and O'Toole (SOSP 1995) report of Aegis: a count where
they give one, else the time on a DECstation 5000/125.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.bench import Context, Figure
from exokernel.host.build import build
from exokernel.host.machine import Machine, measured

HERE = Path(__file__).parent
TIMEOUT = 30.0  # seconds of one boot

LIMIT = {  # instructions
    "null-call": 5,
    "tlb-protect": 19,
    "tlb-insert": 19,
    "tlb-insert-bound": 19,
    "tlb-protect-bound": 19,
    "undefined-instruction": 11,
    "page-fault": 16,
    "transfer-round-trip": 28,
    "timer-switch": 34,
}
PAPER = (  # row, variant, unit, value
    ("null-call", "no stack (table 4)", "ns", 1600),
    ("null-call", "with a stack (table 4)", "ns", 2300),
    ("undefined-instruction", "dispatch, without the way back (5.3)", "instructions", 18),
    ("page-fault", "dispatch, without the way back (5.3)", "instructions", 18),
    ("transfer-round-trip", "twice one way (5.5)", "instructions", 60),
    ("transfer-round-trip", "twice one way (table 6)", "ns", 2800),
)


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    measured = primitives() | {"timer-switch": switches()}
    for row, values in measured.items():
        yield context.figure(row, "instructions", values)
    for row, count in LIMIT.items():
        yield context.figure(row, "instructions", [count], system="limit")
    for row, variant, unit, value in PAPER:
        yield context.figure(row, unit, [value], system="paper-exos", variant=variant)


def primitives() -> dict[str, list[int]]:
    """The samples of each row that an application can measure alone."""
    console = console_of(HERE / "primitives.py", 3)
    return {
        row: [int(n) for n in numbers.split()]
        for row, numbers in re.findall(r"^([a-z0-9-]+)((?: \d+)+)$", console, re.M)
    }


def switches() -> list[int]:
    """From the last look of one environment to the first of the other, less one turn of the loop that looks."""
    console = console_of(HERE / "ticks.py", 2)
    turn = max(int(n) for n in re.findall(r"^turn \d (\d+)$", console, re.M))
    seen: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
    for number, before, after in re.findall(r"^switch (\d) (\d+) (\d+)$", console, re.M):
        seen[int(number)].append((int(before), int(after)))
    found = []
    for one, other in ((0, 1), (1, 0)):
        arrivals = sorted(after for _, after in seen[other])
        for before, after in seen[one]:
            place = bisect_right(arrivals, before)
            if place < len(arrivals) and arrivals[place] < after:
                found.append(arrivals[place] - before - turn)
    return found


def console_of(application: Path, environments: int) -> str:
    """What `environments` instances of an application print."""
    image = build([application] * environments)
    with Machine(image.path, measured(icount=True), timeout=TIMEOUT) as machine:
        machine.wait()
        if machine.status != 0:
            raise ValueError(f"{application.name} failed\n{machine.transcript()}")
        return machine.console.decode()
