# SPDX-License-Identifier: MIT
"""Packet filters: which of 10, and of 500, TCP/IP flows a frame belongs to, in instructions.

As table 7 of Engler, Kaashoek and O'Toole (SOSP 1995) the code runs in user space. Each filter asks for IPv4 with a header
of any length, TCP, the first fragment, both addresses and both ports; sources differ at random. The samples are frames of
flows spread over all of them. `classify`: instructions under `-icount shift=0` from before the call of the code (variant
`interpreted`: of the dialect's search in the same table) to behind its return. `insert`: what adding the last filter
costs, in the table, and to write the code anew, all at once. `kernel-N`: N filters in the kernel, how long it keeps the
processor from everybody at most: `bind`, `remove`, one call; `gap`, a tick afterwards, while the code is being written.
The paper's times are of a DECstation 5000/200.
There is no wall time: each sample is another flow, and most of it would be that QEMU translates code which runs for the first
time.
"""

from collections.abc import Iterable
from pathlib import Path

from exokernel.host.exhibit import Context, Figure

APPLICATION = Path(__file__).with_name("classify.py")
BINDING = Path(__file__).with_name("binding.py")


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    for line in context.run(APPLICATION).printed:
        unit = "bytes" if line.words == "bytes" else "instructions"
        yield context.figure(line.row, unit, line.values, variant="" if unit == "bytes" else line.words)
    for line in context.run(BINDING).printed:
        yield context.figure(line.row, "instructions", line.values, variant=line.words)
