# SPDX-License-Identifier: MIT
"""What is done when its time has come: acknowledgments that waited, what is sent again, TIME-WAIT, keep-alive (RFC 9293
section 3.8.4) and the patience of who uses a connection.
"""

from exokernel.exos.net.tcp.connection import NEVER, Connection, Event, Host
from exokernel.exos.net.tcp.deadlines import KEEP_ALIVE_INTERVAL, watch
from exokernel.exos.net.tcp.recovery import retransmit
from exokernel.exos.net.tcp.segment import Flag
from exokernel.exos.net.tcp.sending import acknowledge_bare, emit
from exokernel.exos.net.tcp.states import State
from exokernel.exos.net.tcp.table import lose, notify, release
from exokernel.metal import u64

KEEP_ALIVE_ATTEMPTS = 9


def tick(host: Host, now: u64) -> None:
    """Do what is due. Sets `next_deadline`."""
    if now < host.next_deadline:
        return
    host.next_deadline = NEVER
    for i in range(len(host.connections)):
        connection = host.connections[i]
        if connection.state != State.CLOSED and now >= connection.acknowledge_at:
            connection.acknowledge_at = NEVER
            if connection.must_acknowledge:
                acknowledge_bare(host, connection, now)
            if connection.wants_room:
                connection.wants_room = False
                notify(connection, Event.WRITABLE)
        if connection.state != State.CLOSED and now >= connection.retransmit_at:
            retransmit(host, connection, now)
        if connection.state != State.CLOSED and now >= connection.idle_at:
            idle(host, connection, now)
        if connection.state != State.CLOSED:
            first = min(connection.acknowledge_at, connection.retransmit_at, connection.idle_at)
            host.next_deadline = min(host.next_deadline, first)


def idle(host: Host, connection: Connection, now: u64) -> None:
    """Nothing has happened for long."""
    connection.idle_at = NEVER
    if connection.state == State.TIME_WAIT:
        connection.deaf = True
        release(host, connection)
        return
    if connection.patience != 0 and now - connection.progress_at >= connection.patience * host.second:
        emit(host, connection, Flag.RST | Flag.ACK, connection.highest, 0, 0, now)
        lose(host, connection)
        return
    asked = connection.keep_alive + connection.probes * KEEP_ALIVE_INTERVAL
    if connection.keep_alive != 0 and now - connection.heard_at >= asked * host.second:
        if connection.probes == KEEP_ALIVE_ATTEMPTS:
            emit(host, connection, Flag.RST | Flag.ACK, connection.highest, 0, 0, now)
            lose(host, connection)
            return
        if connection.highest != connection.unacknowledged:
            connection.heard_at = now  # what is under way asks as well (RFC 9293 section 3.8.4)
        elif connection.state >= State.ESTABLISHED:
            connection.probes += 1
            emit(host, connection, Flag.ACK, connection.unacknowledged.minus(1), 0, 0, now)
    watch(host, connection, now)
