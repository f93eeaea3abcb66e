# SPDX-License-Identifier: MIT
"""Counting, for the system page and for a kernel that records alike, so that neither can miss what the other has."""

from exokernel.aegis import information, trace
from exokernel.aegis.trace_abi import TraceCounter  # noqa: F401  (for who counts)
from exokernel.metal import Ptr, addr, inline, u64


@inline
def tally(counter: u64) -> None:
    """One more."""
    Ptr[u64](addr(information.page.network.received))[counter] += 1
    trace.count(counter)
