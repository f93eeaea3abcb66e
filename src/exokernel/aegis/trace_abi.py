# SPDX-License-Identifier: MIT
"""What an application, or the workstation, knows of the trace ring of a kernel that records (`traced`). As `abi`, which it
adds to, this must need nothing of a kernel.

The ring lies in `SystemPage.trace_frames` public frames from `trace_frame` on and holds as many records as fit.
`trace_written` counts the records since boot; number n is at n modulo their count. A reader copies what it has not seen,
reads `trace_written` again, and forgets what was overwritten meanwhile: all numbers up to `trace_written` less the
ring's records, since the kernel may be writing that one. `sequence` says the same of each record.
"""

from enum import IntEnum

from exokernel.metal import sizeof, struct, u8, u16, u32, u64

TRACE_FRAMES = 1024  # of a kernel that records


class TraceKind(IntEnum):
    """What happened, in `TraceRecord.kind`; what `detail`, `first` and `second` then are."""

    ENTER = 0  # the kernel was entered: `TraceCause`; where; a call's first argument, or a page fault's address
    LEAVE = 1  # the environment continues: -; where
    UPCALL = 2  # it will continue at an entry of its own: `TraceEntry`; where
    POSTED = 3  # an event was posted to it: -; `Event`; of REVOKE the frames and, shifted by 32, the slices that are
    # wanted back in all; of REPOSSESSED the name of what was taken
    COUNTED = 4  # while it was the current one: `TraceCounter`
    NAMED = 5  # it was made: number of the half; its name's 16 bytes
    ENDED = 6  # it has ended: -; its status


class TraceCause(IntEnum):
    """Why the kernel was entered: an exception's vector, or one of these."""

    CALL = 256  # plus the call's number
    TIMER = 512
    DEVICE = 513  # the network's
    FLOATING = 514  # the first use of floating-point registers
    STRAY = 515
    BOOT = 516
    LINE = 544  # plus the device line


class TraceEntry(IntEnum):
    """Of `EnvironmentPage`."""

    EVENT = 0
    SLICE_START = 1
    SLICE_END = 2


class TraceCounter(IntEnum):
    """By their places in `NetworkStatistics`, which says what they count, and in `EventCounts` behind it."""

    RECEIVED = 0
    DELIVERED = 1
    UNMATCHED = 2
    RING_FULL = 3
    MALFORMED = 4
    TRANSMITTED = 5
    QUEUE_FULL = 7
    CAPTURED = 9
    WAKES = 12


@struct(volatile=True)
class TraceRecord:
    timestamp: u64
    sequence: u32  # its number's low half
    kind: u8
    environment: u8  # ENVIRONMENTS: the idle one
    detail: u16
    first: u64
    second: u64


TRACE_RECORDS_PER_FRAME = 4096 // sizeof(TraceRecord)
