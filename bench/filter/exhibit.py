# SPDX-License-Identifier: MIT
"""Packet filters: which of 10, and of 500, TCP/IP flows a frame belongs to, in instructions.

As table 7 of Engler, Kaashoek and O'Toole (SOSP 1995) the code runs in user space. Each filter asks for IPv4 with a header
of any length, TCP, the first fragment, both addresses and both ports; sources differ at random. The samples are frames of
flows spread over all of them. `classify`: instructions under `-icount shift=0` from before the call of the code (variant
`interpreted`: of the dialect's search in the same table) to behind its return. `insert`: what adding the last filter
costs, in the table, and to write the code anew, all at once. `kernel-N`: N filters in the kernel, how long it keeps the
processor from everybody at most: `bind`, `remove`, one call; `gap`, a tick afterwards, while the code is being written.
The paper's times are of a DECstation 5000/200.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.bench import Context, Figure
from exokernel.host.build import build
from exokernel.host.machine import Machine, Options

APPLICATION = Path(__file__).with_name("classify.py")
BINDING = Path(__file__).with_name("binding.py")
TIMEOUT = 60.0  # seconds

PAPER = (("MPF", 35_000), ("PATHFINDER", 19_000), ("DPF", 1_500))  # ns


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    with Machine(build([APPLICATION]).path, Options(icount=True), timeout=TIMEOUT) as machine:
        machine.wait()
        if machine.status != 0:
            raise ValueError(f"{APPLICATION.name} failed\n{machine.transcript()}")
        console = machine.console.decode()
    for row, variant, numbers in re.findall(r"^([a-z]+-\d+) ([a-z]+)((?: \d+)+)$", console, re.MULTILINE):
        unit = "bytes" if variant == "bytes" else "instructions"
        yield context.figure(row, unit, [int(n) for n in numbers.split()], variant="" if unit == "bytes" else variant)
    with Machine(build([BINDING]).path, Options(icount=True), timeout=TIMEOUT) as machine:
        machine.wait()
    for row, variant, number in re.findall(r"^(kernel-\d+) ([a-z-]+) (\d+)$", machine.console.decode(), re.MULTILINE):
        yield context.figure(row, "instructions", [int(number)], variant=variant)
    for variant, value in PAPER:
        yield context.figure("classify-10", "ns", [value], system="paper-exos", variant=variant)
