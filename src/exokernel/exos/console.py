# SPDX-License-Identifier: MIT
"""The console. Output is gathered into lines and handed to the kernel a line at a time, because what one call writes is
not torn apart by other environments. A line that is not finished is written by `flush`, when the application ends or
sleeps, and when it grows too long; it is lost when the kernel has to end the environment.
"""

from exokernel.exos import aegis, critical
from exokernel.metal import Array, Span, noinline, u8, u64

LINE = 512

line: Array[u8, LINE] = Array[u8, LINE]()
used: u64 = 0


@noinline  # each print is several calls of it
def write(text: bytes) -> None:
    """Write `text`, of any length."""
    global used
    critical.enter()
    for byte in text:
        line[used] = byte
        used += 1
        if byte == 10 or used == LINE:
            flush()
    critical.leave()


def flush() -> None:
    """Hand what is there to the kernel. There is nowhere to complain if it refuses."""
    global used
    if used == 0:
        return  # and nothing written: a child's first write to a page copies it
    critical.enter()
    if used != 0:
        pending: Span[u8] = line[:used]
        used = 0
        aegis.console_write(pending)
    critical.leave()
