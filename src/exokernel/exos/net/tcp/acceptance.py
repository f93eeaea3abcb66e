# SPDX-License-Identifier: MIT
"""Which segments are believed: those that fit the window (RFC 9293 section 3.4), are no old duplicates (RFC 7323 section
5), and that nobody can have made up who does not see the connection (RFC 5961).
"""

from exokernel.exos.net.tcp.connection import Connection, Host
from exokernel.exos.net.tcp.segment import Arrival
from exokernel.exos.net.tcp.sending import owe
from exokernel.metal import inline, noinline, u32, u64

STAMP_LIFETIME = 24 * 24 * 60 * 60  # seconds until a peer's clock may have gone half around (RFC 7323 section 5.5)
CHALLENGE = 2  # fraction of a second in which there is one challenge (RFC 5961 section 7)


@inline
def fits(connection: Connection, arrival: Arrival, length: u32) -> bool:
    """Whether some of the `length` numbers of a segment lie in the window that the peer knows (RFC 9293 section
    3.10.7.4). An empty one may lie at its end: there the peer is when all that it was allowed is under way.
    """
    window = connection.edge.since(connection.expected)
    start = arrival.sequence
    if length == 0:
        return start.within(connection.expected, window + 1)
    return start.within(connection.expected, window) or start.plus(length - 1).within(connection.expected, window)


@inline
def is_old(host: Host, connection: Connection, stamp: u32, now: u64) -> bool:
    """Whether a segment is an old duplicate, by its sender's clock (PAWS, RFC 7323 section 5)."""
    behind = (stamp - connection.recent) & 0x8000_0000 != 0
    return behind and now - connection.heard_at < STAMP_LIFETIME * host.second


@inline
def acknowledges_possible(connection: Connection, arrival: Arrival) -> bool:
    """Whether what is acknowledged was sent, and not too long ago (RFC 5961 section 5)."""
    old = arrival.acknowledgment.before(connection.unacknowledged.minus(connection.largest_window))
    return not old and not arrival.acknowledgment.after(connection.highest)


@noinline
def challenge(host: Host, connection: Connection, now: u64) -> None:
    """RFC 5961: who might be pretending is told where we are, which only the real peer understands; rarely."""
    if now >= connection.challenge_at:
        connection.challenge_at = now + host.second // CHALLENGE
        owe(connection)
