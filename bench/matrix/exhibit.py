# SPDX-License-Identifier: MIT
"""150 x 150 matrix multiplication (table 9 of SOSP 1995): what it costs that the application manages its own memory.

The row is the whole run in instructions under `-icount shift=0`, filling the matrices included, of one application that
touches 66 pages for the first time; the variant `mapped` is the same code on the same pages, mapped beforehand. `ratio` is
the first over the second; the aim is at most 1.01. A clock tick now and then is in both. In the paper both systems need
the same time, since a computation hardly needs an operating system. Beside Linux only the ratio compares systems: the
instructions compare our compiler with the C compiler.
"""

import statistics
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.exhibit import Context, Figure

APPLICATION = Path(__file__).with_name("multiply.py")


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    run = context.run(APPLICATION)
    first, mapped = run.row("multiply"), run.row("mapped")
    yield context.figure("multiply", "instructions", first.values)
    yield from context.operation_figures("multiply", "", first.regions)
    yield context.figure("multiply", "instructions", mapped.values, variant="mapped")
    yield from context.operation_figures("multiply", "mapped", mapped.regions)
    yield context.figure("multiply", "ratio", [statistics.median(first.values) / statistics.median(mapped.values)])
    for line, values in context.wall_figures(APPLICATION):
        yield context.figure("multiply", "ns", values, variant="mapped" if line.row == "mapped" else "")
