# SPDX-License-Identifier: MIT
"""What threads of one environment cost, in instructions of compiled Python under `-icount shift=0`.

`thread-yield`: from before `give_way` in one thread to behind that of the next. `mutex-lock-unlock`: both, nobody else
wants it. `thread-create-join`: of a thread whose function returns at once. `thread-preempted`: from the last instruction
of a thread whose slice ends to the first of the next, the kernel's part included, less the instructions of the loops that
look.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.bench import Context, Figure
from exokernel.host.build import build
from exokernel.host.machine import Machine, measured

HERE = Path(__file__).parent
TIMEOUT = 30.0  # seconds


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    with Machine(build([HERE / "threads.py"]).path, measured(icount=True), timeout=TIMEOUT) as machine:
        machine.wait()
        if machine.status != 0:
            raise ValueError(f"threads.py failed\n{machine.transcript()}")
        console = machine.console.decode()
    for row, numbers in re.findall(r"^([a-z-]+)((?: \d+)+)$", console, re.MULTILINE):
        yield context.figure(row, "instructions", [int(n) for n in numbers.split()])
