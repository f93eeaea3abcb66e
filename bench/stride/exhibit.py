# SPDX-License-Identifier: MIT
"""Figure 3 of Engler, Kaashoek and O'Toole (SOSP 1995): three clients of a stride scheduler in a library count, 3:2:1.

`shares` is what each client counted, as a ratio to its part of all: 1 is exact. One machine, 600 slices, an instruction
a nanosecond. The bound of the theory is one slice for each client in this case: 0.33, 0.5 and 1 per cent of what they
should have.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.build import build
from exokernel.host.exhibit import Context, Figure
from exokernel.host.machine import Machine, measured

HERE = Path(__file__).parent
SHARES = {1: 3, 2: 2, 3: 1}  # of environments
TIMEOUT = 60.0  # seconds


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    for client, ratio in ratios(counted()).items():
        yield context.figure("shares", "ratio", [ratio], variant=f"client {SHARES[client]}")


def counted() -> dict[int, int]:
    """What each client counted in one machine."""
    image = build([HERE / "scheduler.py", *[HERE / "client.py"] * 3])
    with Machine(image.path, measured(icount=True), timeout=TIMEOUT) as machine:
        machine.wait()
    found = {int(n): int(count) for n, count in re.findall(rb"client (\d) (\d+)", machine.console)}
    if found.keys() != SHARES.keys():
        raise ValueError(f"not all clients have counted\n{machine.transcript()}")
    return found


def ratios(counts: dict[int, int]) -> dict[int, float]:
    """Of each count to that client's part of all counts."""
    whole, parts = sum(counts.values()), sum(SHARES.values())
    return {client: counts[client] * parts / (whole * share) for client, share in SHARES.items()}
