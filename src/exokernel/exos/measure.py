# SPDX-License-Identifier: MIT
"""How an application measures itself: the time-stamp counter, which counts instructions under `-icount shift=0`, and
markers for what is counted from outside. The markers lie outside of the counter's two readings, and do nothing.

`src/exokernel/host/operations.py` says what is counted between them. Never in the library's own code.
"""

from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import asm, inline, u64


@inline
def begin() -> u64:
    """Something to be measured begins; the counter."""
    asm("nop dword ptr [rax + rax + 0x0E4F5801]", "~{memory}")
    return read_timestamp()


@inline
def end() -> u64:
    """It has ended; the counter."""
    now = read_timestamp()
    asm("nop dword ptr [rax + rax + 0x0E4F5802]", "~{memory}")
    return now


@inline
def row() -> None:
    """What was measured since the last `row` belongs to the row whose line is printed now."""
    asm("nop dword ptr [rax + rax + 0x0E4F5803]", "~{memory}")


def print_frequency() -> None:
    """A line for who measures wall time: how many ticks a second has."""
    print("timestamp-frequency", aegis.system_page().timestamp_frequency)
