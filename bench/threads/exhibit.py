# SPDX-License-Identifier: MIT
"""What threads of one environment cost, in instructions of compiled Python under `-icount shift=0`.

`thread-yield`: from before `give_way` in one thread to behind that of the next. `mutex-lock-unlock`: both, nobody else
wants it. `thread-create-join`: of a thread whose function returns at once. `thread-preempted`: from the last instruction
of a thread whose slice ends to the first of the next, the kernel's part included, less the instructions of the loops that
look. There is no wall time: what interrupts the loops of a busy computer would be taken for a switch.
"""

from collections.abc import Iterable
from pathlib import Path

from exokernel.host.exhibit import Context, Figure

APPLICATION = Path(__file__).with_name("threads.py")


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    for line in context.run(APPLICATION).printed:
        yield context.figure(line.row, "instructions", line.values)
        yield from context.operation_figures(line.row, "", line.regions)
