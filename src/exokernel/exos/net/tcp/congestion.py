# SPDX-License-Identifier: MIT
"""How much may be under way (RFC 5681, with RFC 6582, 6928 and 3042). Another algorithm is another file with these
functions: nothing else changes `Connection.congestion` and `Connection.threshold`, both in bytes. What is lost and what
is sent again is not decided here (`recovery`).
"""

from exokernel.exos.net.tcp.connection import Connection
from exokernel.metal import inline, u32, u64

INITIAL_SEGMENTS = 10  # RFC 6928 section 2
DUPLICATES = 3  # acknowledgments that say "lost" (RFC 5681 section 3.2)
NO_THRESHOLD = 1 << 30


def begin(connection: Connection) -> None:
    """Nothing is known of the way yet."""
    connection.congestion = INITIAL_SEGMENTS * connection.segment_size
    connection.threshold = NO_THRESHOLD


def begin_late(connection: Connection) -> None:
    """More than one SYN was lost: one segment at first (RFC 5681 section 3.1, RFC 6928 section 2)."""
    connection.congestion = connection.segment_size


@inline
def allowed(connection: Connection) -> u32:
    """How many bytes may be unacknowledged. The first two duplicates let one more segment leave each (RFC 3042)."""
    if not connection.recovering and connection.duplicates < DUPLICATES:
        return connection.congestion + connection.duplicates * connection.segment_size
    return connection.congestion


@inline
def acknowledged(connection: Connection, count: u32, most: u32) -> None:
    """`count` bytes more got through, and nothing is known to be lost (RFC 5681 section 3.1). Above `most` the window
    need not grow: it would never be used.
    """
    if count == 0 or connection.congestion >= most:
        return
    size = connection.segment_size
    if connection.congestion < connection.threshold:
        connection.congestion += min(count, size)
    else:
        more = u32(u64(size) * count // connection.congestion)  # a segment for all of the window
        connection.congestion += max(more, 1) if count >= size else more


def rested(connection: Connection) -> None:
    """Nothing was sent for a time-out: what was known of the way is old (RFC 5681 section 4.1)."""
    connection.congestion = min(connection.congestion, INITIAL_SEGMENTS * connection.segment_size)


def lost(connection: Connection, flight: u32) -> None:
    """A segment of the `flight` bytes under way is lost, and others behind it arrived: recovery begins."""
    connection.threshold = half(connection, flight)
    connection.congestion = connection.threshold + DUPLICATES * connection.segment_size


def left_the_network(connection: Connection) -> None:
    """In recovery, one more segment has arrived (RFC 5681 section 3.2, step 4)."""
    connection.congestion += connection.segment_size


def partly_recovered(connection: Connection, count: u32) -> None:
    """In recovery, `count` bytes are acknowledged, and something else is lost too (RFC 6582 section 3.2, step 3)."""
    connection.congestion -= min(connection.congestion, count)
    if count >= connection.segment_size:
        connection.congestion += connection.segment_size


def recovered(connection: Connection, flight: u32) -> None:
    """All that was under way when the loss was seen has arrived; `flight` bytes were sent since."""
    size = connection.segment_size
    connection.congestion = min(connection.threshold, max(flight, size) + size)


def timed_out(connection: Connection, flight: u32, first: bool) -> None:
    """Nothing was heard for a time-out; `first` if it is the first one since (RFC 5681 section 3.1)."""
    if first:
        connection.threshold = half(connection, flight)
    connection.congestion = connection.segment_size


@inline
def half(connection: Connection, flight: u32) -> u32:
    """RFC 5681, equation 4."""
    return max(flight // 2, 2 * connection.segment_size)
