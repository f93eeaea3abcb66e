# SPDX-License-Identifier: MIT
"""Data that arrive (RFC 9293 section 3.10.7.4, seventh and eighth): what comes next is given to the application, in
place; what it leaves, and what came too early, is kept in a buffer; and the window moves on.
"""

from exokernel.exos.net.drop import Drop
from exokernel.exos.net.tcp import runs
from exokernel.exos.net.tcp.connection import NONE, Connection, Event, Host
from exokernel.exos.net.tcp.deadlines import wait_out
from exokernel.exos.net.tcp.segment import Arrival, Flag
from exokernel.exos.net.tcp.sending import acknowledge_bare, owe
from exokernel.exos.net.tcp.sequence import Sequence
from exokernel.exos.net.tcp.states import AFTER_THEIRS, RECEIVE, State, allows
from exokernel.exos.net.tcp.table import buffer_of, forget_received, notify, take_buffer
from exokernel.metal import Span, addr, noinline, u8, u32, u64


def take_data(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """The data of an acceptable segment, and its FIN."""
    data = packet[arrival.start : arrival.end]
    fin = arrival.flags & Flag.FIN != 0
    if len(data) == 0 and not fin:
        return Drop.NONE
    connection.must_acknowledge = True
    if not allows(RECEIVE, connection.state):
        connection.acknowledge_now = True  # the peer had already sent its last
        if connection.state == State.TIME_WAIT and fin:
            wait_out(host, connection, now)
        return Drop.TCP_SEQUENCE
    start = arrival.sequence
    if start.before(connection.expected):  # its beginning has been seen
        known = u64(connection.expected.since(start))
        if known > len(data):
            known = len(data)
        data = data[known:]
        start = start.plus(u32(known))
        connection.acknowledge_now = True
    window = u64(connection.edge.since(start)) if start.before(connection.edge) else 0
    if len(data) > window:
        data = data[:window]  # its end is beyond what was allowed
        fin = False
    last = start.plus(u32(len(data)))
    if start != connection.expected:
        reason = hold(host, connection, start, data, fin)
        acknowledge_bare(host, connection, now)  # with data it would be no duplicate for the peer (RFC 5681 section 2)
        return reason
    generation = connection.generation
    if len(data) != 0:
        if not connection.deaf:
            connection.progress_at = now
        gap = connection.held.count != 0
        if gap:
            connection.acknowledge_now = True  # it fills a gap (RFC 5681 section 4.2)
        if not deliver(host, connection, data):
            connection.acknowledge_now = True
            return Drop.TCP_MEMORY
        if connection.generation != generation:
            return Drop.NONE
        if gap and connection.held_end and connection.held.count == 0:
            connection.held_end = False
            fin = True  # which came early
            last = connection.expected
        connection.unanswered += u32(len(data))
        if connection.unanswered >= 2 * connection.segment_size:
            connection.acknowledge_now = True
    if fin and connection.expected == last:
        connection.expected = last.plus(1)
        connection.edge = connection.edge.plus(1)
        connection.acknowledge_now = True
        connection.progress_at = now
        connection.state = AFTER_THEIRS[connection.state]
        if connection.state == State.TIME_WAIT:
            wait_out(host, connection, now)
        notify(connection, Event.END)
        if connection.generation == generation and connection.state == State.TIME_WAIT:
            connection.deaf = True
            forget_received(host, connection)
    return Drop.NONE


def deliver(host: Host, connection: Connection, data: Span[u8]) -> bool:
    """Give the application bytes that come next. Those that it leaves are kept in a buffer; False if there is none, and
    then the rest has not arrived.
    """
    count = u32(len(data))
    if connection.deaf:
        connection.expected = connection.expected.plus(count)
        return True
    if connection.receive_buffer != NONE:
        store(host, connection, connection.expected, data)
        connection.arrived_length += count
        connection.expected = connection.expected.plus(count)
        join_held(connection)
        notify(connection, Event.READABLE)
        return True
    generation = connection.generation
    connection.arrived_at = u64(addr(data[0]))
    connection.arrived_length = count
    connection.expected = connection.expected.plus(count)
    notify(connection, Event.READABLE)
    if connection.generation != generation or connection.arrived_length == 0:
        return True
    rest = connection.arrived_length
    connection.receive_buffer = take_buffer(host)
    if connection.receive_buffer == NONE:
        connection.expected = connection.expected.minus(rest)
        connection.arrived_length = 0
        return False
    buffer = buffer_of(host, connection.receive_buffer)
    buffer[: u64(rest)].copy_from(data[u64(count - rest) :])
    connection.arrived_at = u64(addr(buffer[0]))
    return True


def store(host: Host, connection: Connection, start: Sequence, data: Span[u8]) -> None:
    """Put bytes of the window where they belong in the buffer: behind those that have arrived. These and all that is
    held are moved to its beginning when the place is not there.
    """
    buffer = buffer_of(host, connection.receive_buffer)
    offset = connection.arrived_at - u64(addr(buffer[0]))
    distance = u64(connection.arrived_length) + start.since(connection.expected)
    if offset + distance + len(data) > len(buffer):
        kept = u64(connection.arrived_length)
        if connection.held.count != 0:
            kept += connection.held.row[connection.held.count - 1].end.since(connection.expected)
            kept -= u64(connection.held_end)
        buffer[:kept].copy_from(buffer[offset : offset + kept])
        connection.arrived_at = u64(addr(buffer[0]))
        offset = 0
    buffer[offset + distance : offset + distance + len(data)].copy_from(data)


@noinline
def hold(host: Host, connection: Connection, start: Sequence, data: Span[u8], fin: bool) -> u8:
    """Keep bytes that come too early, and a FIN behind them: at most RUNS runs of them."""
    if (len(data) == 0 and not fin) or connection.deaf:
        return Drop.TCP_SEQUENCE
    if connection.receive_buffer == NONE:
        connection.receive_buffer = take_buffer(host)
        if connection.receive_buffer == NONE:
            return Drop.TCP_MEMORY
        connection.arrived_at = u64(addr(buffer_of(host, connection.receive_buffer)[0]))
    store(host, connection, start, data)
    if not runs.add(connection.held, start, start.plus(u32(len(data)) + u32(fin))):
        return Drop.TCP_MEMORY
    connection.held_end = connection.held_end or fin
    return Drop.NONE


def join_held(connection: Connection) -> None:
    """What was held and now comes next has arrived, but for a FIN at its end."""
    held = connection.held
    while held.count != 0 and not held.row[0].start.after(connection.expected):
        if held.row[0].end.after(connection.expected):
            count = held.row[0].end.since(connection.expected) - u32(connection.held_end and held.count == 1)
            connection.arrived_length += count
            connection.expected = connection.expected.plus(count)
        runs.drop_first(held)


def open_window(host: Host, connection: Connection) -> None:
    """Move the window's end on, not in crumbs (RFC 9293 section 3.8.6.2.2), and tell the peer when it may be waiting."""
    if connection.state == State.CLOSED or connection.arrived_length >= host.buffer_size:
        return
    edge = connection.expected.plus(host.buffer_size - connection.arrived_length)
    if not edge.after(connection.edge):
        return
    step = min(host.buffer_size // 2, connection.segment_size)
    if edge.since(connection.edge) >= step:
        if connection.edge.since(connection.expected) < 2 * step and connection.state >= State.ESTABLISHED:
            owe(connection)
        connection.edge = edge
