# SPDX-License-Identifier: MIT
"""What interprocess communication costs as a library (SOSP 1995, tables 8 and 12).

Instructions under `-icount shift=0`, both environments' and the kernel's, of compiled Python; each sample is the mean
of eight. `pipe`, `pipe-inline` and `shm` are one way, `lrpc` and `tlrpc` a whole call. A word bounces through two pipes
(`pipe.write` and `read`; inlined `put` and `get`); a shared counter says whose turn it is and the processor is handed
over; a counter is incremented in another address space and its value returned. As in the paper lrpc saves the
callee-saved registers; other than there the server finds its procedure by a number, and makes sure that it is meant.
tlrpc saves nothing but what the loop keeps in registers. `private` is the library's default for those who do not trust
each other: no register of one side's reaches the other but arguments and result. `limit` is hand-written assembly for
the bare transfer and back, `paper-*` are times on a DECstation 5000/125.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.bench import Context, Figure
from exokernel.host.build import build
from exokernel.host.machine import Machine, measured

APPLICATION = Path(__file__).parent / "ipc.py"
TIMEOUT = 30.0  # seconds of one boot
ROUNDS = 8  # of one sample, as in the application

ONE_WAY = ("pipe", "pipe-inline", "shm")
LIMIT = {"lrpc": 28, "tlrpc": 28}  # instructions
PAPER = (  # system, row, nanoseconds
    ("paper-exos", "pipe", 14200),
    ("paper-exos", "pipe-inline", 10700),
    ("paper-exos", "shm", 5700),
    ("paper-exos", "lrpc", 6300),
    ("paper-exos", "tlrpc", 2900),
    ("paper-ultrix", "pipe", 199000),
    ("paper-ultrix", "shm", 118000),
)


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    image = build([APPLICATION] * 2)
    with Machine(image.path, measured(icount=True), timeout=TIMEOUT) as machine:
        machine.wait()
        if machine.status != 0:
            raise ValueError(f"{APPLICATION.name} failed\n{machine.transcript()}")
        found = re.findall(r"^([a-z-]+)(?: ([a-z]+))?((?: \d+)+)$", machine.console.decode(), re.M)
    for row, variant, numbers in found:
        trips = ROUNDS * (2 if row in ONE_WAY else 1)
        values = [int(number) / trips for number in numbers.split()]
        yield context.figure(row, "instructions", values, variant=variant)
    for row, count in LIMIT.items():
        yield context.figure(row, "instructions", [count], system="limit")
    for system, row, nanoseconds in PAPER:
        yield context.figure(
            row, "ns", [nanoseconds], system=system, variant="table 12" if row == "tlrpc" else "table 8"
        )
