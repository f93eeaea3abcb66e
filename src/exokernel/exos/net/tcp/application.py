# SPDX-License-Identifier: MIT
"""What an application does with a connection (RFC 9293 section 3.9.1): read in place, write, end, and how long it waits.
Nothing here waits.
"""

from exokernel.exos.net.tcp.connection import NONE, Connection, Host
from exokernel.exos.net.tcp.deadlines import due, watch
from exokernel.exos.net.tcp.reassembly import open_window
from exokernel.exos.net.tcp.segment import Flag
from exokernel.exos.net.tcp.sending import emit, settle
from exokernel.exos.net.tcp.states import AFTER_OURS, WRITE, State, allows
from exokernel.exos.net.tcp.table import buffer_of, forget_received, put_buffer, release, take_buffer
from exokernel.metal import Ptr, Span, inline, u8, u32, u64

CLOSED_WAIT = 60  # seconds without progress, once nobody here reads any more
RETRY = 20  # fraction of a second until a writer that found no buffer is asked again


def arrived(connection: Connection) -> Span[u8]:
    """What has arrived and not been consumed, in one piece, in place; it may be read until the handler returns or
    `consume` is called.
    """
    return Span[u8](Ptr[u8](connection.arrived_at), u64(connection.arrived_length))


def consume(host: Host, connection: Connection, count: u64, now: u64) -> None:
    """The first `count` bytes of `arrived` are done with (trap when there are fewer); the peer may send as many more."""
    if connection.state == State.CLOSED or connection.deaf:
        return
    assert count <= connection.arrived_length, "more than has arrived"
    connection.arrived_at = connection.arrived_at + count
    connection.arrived_length -= u32(count)
    if connection.arrived_length == 0 and connection.held.count == 0 and connection.receive_buffer != NONE:
        put_buffer(host, connection.receive_buffer)
        connection.receive_buffer = NONE
    if not connection.busy:
        open_window(host, connection)
        settle(host, connection, now)


def read(host: Host, connection: Connection, buffer: Span[u8], now: u64) -> u64:
    """Copy what has arrived into `buffer`, as much as there is and fits; how many bytes that were."""
    count = min(u64(connection.arrived_length), len(buffer))
    buffer[:count].copy_from(arrived(connection)[:count])
    consume(host, connection, count, now)
    return count


def room(host: Host, connection: Connection) -> u64:
    """How many bytes `write` would take now."""
    if not may_write(connection) or (connection.send_buffer == NONE and host.free_buffer == NONE):
        return 0
    return u64(host.buffer_size - connection.send_length)


def want_room(host: Host, connection: Connection, now: u64) -> None:
    """The handler wants to hear WRITABLE when there is more `room`."""
    connection.wants_room = True
    if connection.send_buffer == NONE:
        due(host, connection, now + host.second // RETRY)


@inline
def may_write(connection: Connection) -> bool:
    """Whether its state allows it, and it has not been finished."""
    return allows(WRITE, connection.state) and not connection.finishing


def write(host: Host, connection: Connection, data: bytes, now: u64) -> u64:
    """Send `data`, or as much of it as there is room for; how many bytes that are. After less than all the handler
    hears WRITABLE when it is worth trying again. 0 also when the connection is closed for writing.
    """
    if not may_write(connection):
        return 0
    if connection.send_buffer == NONE:
        connection.send_buffer = take_buffer(host)
        connection.send_start = 0
        if connection.send_buffer == NONE:
            want_room(host, connection, now)
            return 0
    size = host.buffer_size
    count = min(len(data), u64(size - connection.send_length))
    buffer = buffer_of(host, connection.send_buffer)
    at = u64(connection.send_start) + connection.send_length
    if at >= size:
        at -= size
    first = min(count, size - at)
    buffer[at : at + first].copy_from(data[:first])
    buffer[: count - first].copy_from(data[first:count])
    connection.send_length += u32(count)
    connection.wants_room = count < len(data)
    if not connection.busy:
        settle(host, connection, now)
    return count


def finish(host: Host, connection: Connection, now: u64) -> None:
    """Nothing more will be written; the peer may still send (a half-closed connection)."""
    if connection.finishing or connection.state == State.CLOSED:
        return
    connection.finishing = True
    connection.state = AFTER_OURS[connection.state]
    if not connection.busy:
        settle(host, connection, now)


def close(host: Host, connection: Connection, now: u64) -> None:
    """What was written is still sent, then the end. The application has nothing to do with it any more: the handler
    hears nothing, and what arrives is thrown away.
    """
    if connection.state == State.CLOSED:
        return
    connection.deaf = True
    connection.wants_room = False
    if connection.state == State.SYN_SENT:
        release(host, connection)
        return
    forget_received(host, connection)
    if connection.patience == 0:
        set_patience(host, connection, CLOSED_WAIT, now)  # nobody here could give it up any more
    open_window(host, connection)
    finish(host, connection, now)


def abort(host: Host, connection: Connection, now: u64) -> None:
    """End at once, with a reset for the peer; the handler hears nothing."""
    if connection.state == State.CLOSED:
        return
    if connection.state >= State.SYN_RECEIVED and connection.state != State.TIME_WAIT:
        emit(host, connection, Flag.RST | Flag.ACK, connection.highest, 0, 0, now)
    connection.deaf = True
    release(host, connection)


def set_patience(host: Host, connection: Connection, seconds: u32, now: u64) -> None:
    """Give the connection up (LOST, and a reset for the peer) after so long without a byte that gets through in either
    direction; 0: never.
    """
    connection.patience = seconds
    watch(host, connection, now)


def set_keep_alive(host: Host, connection: Connection, seconds: u32, now: u64) -> None:
    """Ask the peer whether it is there after so long a silence (RFC 9293 section 3.8.4), and give up when it is not; 0:
    never. RFC 9293 wants it off at first and 7,200 or more.
    """
    connection.keep_alive = seconds
    watch(host, connection, now)
