# SPDX-License-Identifier: MIT
"""What interprocess communication costs as a library (SOSP 1995, tables 8 and 12).

Instructions under `-icount shift=0`, both environments' and the kernel's, of compiled Python; each sample is the mean
of eight. `pipe`, `pipe-inline` and `shm` are one way, `lrpc` and `tlrpc` a whole call. A word bounces through two pipes
(`pipe.write` and `read`; inlined `put` and `get`); a shared counter says whose turn it is and the processor is handed
over; a counter is incremented in another address space and its value returned. As in the paper lrpc saves the
callee-saved registers; other than there the server finds its procedure by a number, and makes sure that it is meant.
tlrpc saves nothing but what the loop keeps in registers. `private` is the library's default for those who do not trust
each other: no register of one side's reaches the other but arguments and result.
"""

from collections.abc import Iterable
from pathlib import Path

from exokernel.host.exhibit import Context, Figure

APPLICATION = Path(__file__).parent / "ipc.py"
ROUNDS = 8  # of one sample, as in the application

ONE_WAY = ("pipe", "pipe-inline", "shm")


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    for line in context.run(*[APPLICATION] * 2).printed:
        values = [value / trips(line.row) for value in line.values]
        yield context.figure(line.row, "instructions", values, variant=line.words)
        yield from context.operation_figures(line.row, line.words, line.regions, trips(line.row))
    for line, values in context.wall_figures(*[APPLICATION] * 2):
        yield context.figure(line.row, "ns", [value / trips(line.row) for value in values], variant=line.words)


def trips(row: str) -> int:
    """Messages of one sample."""
    return ROUNDS * (2 if row in ONE_WAY else 1)
