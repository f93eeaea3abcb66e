# SPDX-License-Identifier: MIT
"""When something is due. Each function sets a time of a connection's, and the host's next one if this comes first;
`timers` then does it.
"""

from exokernel.exos.net.tcp.connection import NEVER, Connection, Host
from exokernel.exos.net.tcp.states import State
from exokernel.metal import noinline, u64

TIME_WAIT = 60  # seconds: two lifetimes of a segment, 30 s each
KEEP_ALIVE_INTERVAL = 75  # seconds


def due(host: Host, connection: Connection, when: u64) -> None:
    """An acknowledgment, or another try to write, is due."""
    connection.acknowledge_at = min(connection.acknowledge_at, when)
    host.next_deadline = min(host.next_deadline, when)


def due_again(host: Host, connection: Connection, now: u64) -> None:
    """What was sent is due to be sent again."""
    connection.retransmit_at = now + connection.timeout
    host.next_deadline = min(host.next_deadline, connection.retransmit_at)


def watch(host: Host, connection: Connection, now: u64) -> None:
    """Set when to look whether somebody is still there. Progress in between is found out then."""
    when: u64 = NEVER
    if connection.patience != 0:
        when = connection.progress_at + connection.patience * host.second
    if connection.keep_alive != 0:
        asked = connection.heard_at + connection.keep_alive * host.second
        asked += connection.probes * (KEEP_ALIVE_INTERVAL * host.second)
        when = min(when, asked)
    connection.idle_at = max(when, now + 1)
    host.next_deadline = min(host.next_deadline, connection.idle_at)


@noinline
def wait_out(host: Host, connection: Connection, now: u64) -> None:
    """To TIME-WAIT, where only the peer's last FIN is answered again."""
    connection.state = State.TIME_WAIT
    connection.retransmit_at = NEVER
    connection.idle_at = now + TIME_WAIT * host.second
    host.next_deadline = min(host.next_deadline, connection.idle_at)
