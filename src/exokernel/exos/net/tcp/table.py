# SPDX-License-Identifier: MIT
"""The rows and buffers of a host: both are the application's, given once; they are taken, found by the names of a
connection, and given back. Nothing is sent here.
"""

from exokernel.exos.net.tcp import roundtrip
from exokernel.exos.net.tcp.connection import NEVER, NONE, Connection, Event, Host
from exokernel.exos.net.tcp.states import State
from exokernel.metal import Ptr, Span, addr, inline, u8, u16, u32, u64


def prepare(host: Host, connections: Span[Connection], buffers: Span[u8], buffer_size: u32) -> None:
    """Make `connections` (1 to 65,535) the table and `buffers` the memory for what is under way, in pieces of
    `buffer_size` (at least 2,048, at most 1 GiB); both for as long as the host lives. All else of `host` but its
    listeners is the caller's to set first.
    """
    assert 0 < len(connections) < NONE and 2048 <= buffer_size <= 1 << 30
    host.connections = Span[Connection](Ptr[Connection](u64(addr(connections[0]))), len(connections))
    host.buffers = Span[u8](Ptr[u8](u64(addr(buffers[0]))), len(buffers))
    host.buffer_size = buffer_size
    host.next_deadline = NEVER
    roundtrip.prepare(host)
    host.half_open = 0
    host.hand = 0
    host.cookies_until = 0
    host.free_row = 0
    for i in range(len(connections)):
        row = connections[i]
        row.state = State.CLOSED
        row.number = u16(i)
        row.bucket = NONE
        row.chain = u16(i + 1) if i + 1 < len(connections) else NONE
    host.free_buffer = NONE
    for i in range(min(len(buffers) // buffer_size, NONE)):
        put_buffer(host, u16(i))


def buffer_of(host: Host, number: u16) -> Span[u8]:
    """Its bytes."""
    start = u64(number) * host.buffer_size
    return host.buffers[start : start + host.buffer_size]


def take_buffer(host: Host) -> u16:
    """A free buffer, or NONE."""
    number = host.free_buffer
    if number != NONE:
        buffer = buffer_of(host, number)
        host.free_buffer = u16(buffer[0]) | (u16(buffer[1]) << 8)
    return number


def put_buffer(host: Host, number: u16) -> None:
    """It is free: its first two bytes say which one is free too."""
    buffer = buffer_of(host, number)
    buffer[0] = u8(host.free_buffer)
    buffer[1] = u8(host.free_buffer >> 8)
    host.free_buffer = number


def bucket_of(host: Host, address: u32, port: u16, local_port: u16) -> u16:
    """The row whose `bucket` leads to the connections with these names. A peer cannot foresee it."""
    name = (u64(address) << 32) | (u64(port) << 16) | local_port
    return u16((((name ^ host.key0) * (host.key1 | 1)) >> 40) % len(host.connections))


def find(host: Host, address: u32, port: u16, local_port: u16) -> u16:
    """The row of a connection, or NONE."""
    row = host.connections[bucket_of(host, address, port, local_port)].bucket
    while row != NONE:
        connection = host.connections[row]
        if connection.port == port and connection.address == address and connection.local_port == local_port:
            return row
        row = connection.chain
    return NONE


def take_row(host: Host, address: u32, port: u16, local_port: u16, now: u64) -> u16:
    """A row for a new connection, in no state yet, or NONE. One that only waits in TIME-WAIT makes place."""
    if host.free_row == NONE:
        for _ in range(len(host.connections)):
            host.hand = host.hand + 1 if u64(host.hand) + 1 < len(host.connections) else 0
            if host.connections[host.hand].state == State.TIME_WAIT:
                release(host, host.connections[host.hand])
                break
    number = host.free_row
    if number == NONE:
        return NONE
    connection = host.connections[number]
    host.free_row = connection.chain
    first = host.connections[bucket_of(host, address, port, local_port)]
    connection.chain = first.bucket
    first.bucket = number
    connection.address = address
    connection.port = port
    connection.local_port = local_port
    connection.user = 0
    connection.passive = False
    connection.finishing = False
    connection.deaf = False
    connection.busy = False
    connection.no_delay = False
    connection.window = 0
    connection.largest_window = 0
    connection.send_start = 0
    connection.send_length = 0
    connection.send_buffer = NONE
    connection.send_scale = 0
    connection.wants_room = False
    connection.recovering = False
    connection.duplicates = 0
    connection.selective = False
    connection.sacked.count = 0
    connection.arrived_length = 0
    connection.receive_buffer = NONE
    connection.receive_scale = 0
    connection.scaled = True
    connection.stamped = False
    connection.held.count = 0
    connection.held_end = False
    connection.retransmit_at = NEVER
    connection.acknowledge_at = NEVER
    connection.idle_at = NEVER
    connection.heard_at = now
    connection.progress_at = now
    connection.sent_at = now
    connection.timing = False
    connection.measured = False
    connection.attempts = 0
    connection.probes = 0
    connection.timeout = roundtrip.FIRST_TIMEOUT * host.second
    connection.challenge_at = 0
    connection.keep_alive = 0
    connection.patience = 0
    connection.unanswered = 0
    connection.must_acknowledge = False
    connection.acknowledge_now = False
    return number


def release(host: Host, connection: Connection) -> None:
    """The connection is no more; nobody is told."""
    forget_state(host, connection)
    first = host.connections[bucket_of(host, connection.address, connection.port, connection.local_port)]
    if first.bucket == connection.number:
        first.bucket = connection.chain
    else:
        before = host.connections[first.bucket]
        while before.chain != connection.number:
            before = host.connections[before.chain]
        before.chain = connection.chain
    connection.generation += 1
    connection.chain = host.free_row
    host.free_row = connection.number


def forget_state(host: Host, connection: Connection) -> None:
    """To CLOSED, without buffers."""
    if connection.state == State.SYN_RECEIVED:
        host.half_open -= 1
    connection.state = State.CLOSED
    forget_buffers(host, connection)


def forget_buffers(host: Host, connection: Connection) -> None:
    """What was to be sent and what has arrived."""
    if connection.send_buffer != NONE:
        put_buffer(host, connection.send_buffer)
    connection.send_buffer = NONE
    connection.send_length = 0
    forget_received(host, connection)


def forget_received(host: Host, connection: Connection) -> None:
    """What has arrived, also early."""
    if connection.receive_buffer != NONE:
        put_buffer(host, connection.receive_buffer)
    connection.receive_buffer = NONE
    connection.arrived_length = 0
    connection.held.count = 0
    connection.held_end = False


def lose(host: Host, connection: Connection) -> None:
    """Tell the application that the connection is no more, and forget it."""
    host.lost += 1
    told = not connection.deaf and (connection.state != State.SYN_RECEIVED or not connection.passive)
    forget_state(host, connection)
    if told:
        connection.handler(connection, Event.LOST)
    release(host, connection)


@inline
def notify(connection: Connection, event: u8) -> None:
    """Tell the application, if it still listens. The connection may be gone afterwards: `generation` says."""
    if not connection.deaf:
        connection.handler(connection, event)
