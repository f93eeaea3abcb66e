# SPDX-License-Identifier: MIT
"""150 x 150 matrix multiplication (table 9 of SOSP 1995): what it costs that the application manages its own memory.

The row is the whole run in instructions under `-icount shift=0`, filling the matrices included, of one application that
touches 66 pages for the first time; the variant `mapped` is the same code on the same pages, mapped beforehand. `ratio` is
the first over the second; the aim is at most 1.01. A clock tick now and then is in both. In the paper both systems need
the same time, since a computation hardly needs an operating system. Beside Linux only the ratio compares systems: the
instructions compare our compiler with the C compiler.
"""

import re
import statistics
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.bench import Context, Figure
from exokernel.host.build import build
from exokernel.host.machine import Machine, measured

APPLICATION = Path(__file__).with_name("multiply.py")
TIMEOUT = 60.0  # seconds of the whole run


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    with Machine(build([APPLICATION]).path, measured(icount=True), timeout=TIMEOUT) as machine:
        machine.wait()
        console = machine.console.decode()
        if machine.status != 0 or "failed" in console:
            raise ValueError(f"{APPLICATION.name} failed\n{machine.transcript()}")
    found = {
        row: [int(n) for n in numbers.split()] for row, numbers in re.findall(r"^(\w+)((?: \d+)+)$", console, re.M)
    }
    yield context.figure("multiply", "instructions", found["multiply"])
    yield context.figure("multiply", "instructions", found["mapped"], variant="mapped")
    yield context.figure(
        "multiply", "ratio", [statistics.median(found["multiply"]) / statistics.median(found["mapped"])]
    )
