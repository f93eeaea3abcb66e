# SPDX-License-Identifier: MIT
"""How long to wait for an acknowledgment (RFC 6298): the round trip, smoothed, and how far it varies."""

from exokernel.exos.net.tcp.connection import Connection, Host
from exokernel.metal import u64

FIRST_TIMEOUT = 1  # seconds (RFC 6298 section 2)
LONGEST_TIMEOUT = 60
SHORTEST_TIMEOUT = 5  # fractions of a second; RFC 6298 would have a whole one


def measure(host: Host, connection: Connection, elapsed: u64) -> None:
    """RFC 6298 section 2: a round trip took so long."""
    if not connection.measured:
        connection.measured = True
        connection.smoothed = elapsed
        connection.variation = elapsed // 2
    else:
        difference = max(elapsed, connection.smoothed) - min(elapsed, connection.smoothed)
        connection.variation = (3 * connection.variation + difference) // 4
        connection.smoothed = (7 * connection.smoothed + elapsed) // 8
    set_timeout(host, connection)


def set_timeout(host: Host, connection: Connection) -> None:
    """What was measured decides, or, before that, FIRST_TIMEOUT."""
    timeout = FIRST_TIMEOUT * host.second
    if connection.measured:
        timeout = connection.smoothed + max(4 * connection.variation, host.second // 1000)
    connection.timeout = min(max(timeout, host.second // SHORTEST_TIMEOUT), LONGEST_TIMEOUT * host.second)


def back_off(host: Host, connection: Connection) -> None:
    """Wait twice as long (RFC 6298 section 5.5)."""
    connection.timeout = min(2 * connection.timeout, LONGEST_TIMEOUT * host.second)
