# SPDX-License-Identifier: MIT
"""How long to wait for an acknowledgment (RFC 6298): the round trip, smoothed, and how far it varies. It is measured by
the timestamps that the peer echoes (RFC 7323 section 4), or, where there are none, of one segment at a time.
"""

from exokernel.exos.net.tcp.connection import Connection, Host
from exokernel.metal import inline, noinline, u32, u64

FIRST_TIMEOUT = 1  # seconds (RFC 6298 section 2)
LATE_TIMEOUT = 3  # of data, after a SYN that had to be sent again (RFC 6298 section 5.7)
LONGEST_TIMEOUT = 60
SHORTEST_TIMEOUT = 5  # fraction of a second; RFC 6298 would have a whole one


def prepare(host: Host) -> None:
    """What follows from the clock."""
    host.shortest_timeout = host.second // SHORTEST_TIMEOUT
    host.longest_timeout = host.second * LONGEST_TIMEOUT
    host.stamp_shift = 0
    while host.second >> host.stamp_shift > 1000:
        host.stamp_shift += 1


@inline
def stamp_of(host: Host, connection: Connection, now: u64) -> u32:
    """Our clock, as the peer is to see it."""
    return u32(now >> host.stamp_shift) + connection.stamp_offset


@noinline  # of no interest where there are no timestamps
def measure_by_stamp(host: Host, connection: Connection, echo: u32, flight: u32, now: u64) -> None:
    """An acknowledgment moved the left edge, and echoes our clock when what it acknowledges was sent, also if that was
    the second time. `flight` is what was under way before: each of its samples counts the less the more of them there
    are in one round trip (RFC 7323 section 4.2). An echo of what we cannot have sent is none.
    """
    elapsed = u64(stamp_of(host, connection, now) - echo) << host.stamp_shift
    if elapsed < host.longest_timeout:
        pair = 2 * connection.segment_size
        measure(host, connection, elapsed, max((flight + pair - 1) // pair, 1))


@inline
def measure(host: Host, connection: Connection, elapsed: u64, samples: u32) -> None:
    """RFC 6298 section 2: a round trip took so long, which is one of `samples` in its time."""
    if not connection.measured:
        connection.measured = True
        connection.smoothed = elapsed
        connection.variation = elapsed // 2
    else:
        difference = max(elapsed, connection.smoothed) - min(elapsed, connection.smoothed)
        parts = 4 * u64(samples)
        connection.variation = ((parts - 1) * connection.variation + difference) // parts
        parts *= 2
        connection.smoothed = ((parts - 1) * connection.smoothed + elapsed) // parts
    set_measured(host, connection)


def set_timeout(host: Host, connection: Connection) -> None:
    """What was measured decides, or, before that, FIRST_TIMEOUT."""
    if connection.measured:
        set_measured(host, connection)
    else:
        connection.timeout = FIRST_TIMEOUT * host.second


@inline
def set_measured(host: Host, connection: Connection) -> None:
    """RFC 6298 sections 2.3 and 2.4; a clock tick is the least variation."""
    timeout = connection.smoothed + max(4 * connection.variation, u64(1) << host.stamp_shift)
    connection.timeout = min(max(timeout, host.shortest_timeout), host.longest_timeout)


def begin_late(host: Host, connection: Connection) -> None:
    """A SYN was lost or its answer late: if that measured nothing, the way may be a long one."""
    if not connection.measured:
        connection.timeout = LATE_TIMEOUT * host.second


def back_off(host: Host, connection: Connection) -> None:
    """Wait twice as long (RFC 6298 section 5.5)."""
    connection.timeout = min(2 * connection.timeout, host.longest_timeout)
