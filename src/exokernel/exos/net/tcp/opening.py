# SPDX-License-Identifier: MIT
"""How connections begin (RFC 9293 section 3.5): listeners, connections that we open, the number of the first byte (RFC
6528), and what both sides agree on.
"""

from collections.abc import Callable

from exokernel.exos.net.tcp import congestion, segment, siphash
from exokernel.exos.net.tcp.connection import LISTENERS, NONE, Connection, Host
from exokernel.exos.net.tcp.segment import DEFAULT_LARGEST, LARGEST
from exokernel.exos.net.tcp.sending import first_window, send_syn
from exokernel.exos.net.tcp.sequence import Sequence
from exokernel.exos.net.tcp.states import State
from exokernel.exos.net.tcp.table import find, take_row
from exokernel.metal import Ptr, Span, addr, u8, u16, u32, u64, view

EPHEMERAL = 49152  # ports of ours for connections that we open: from here on
SMALLEST = 64  # whatever a peer says: it cannot make us send in crumbs


def listen(host: Host, port: u16, handler: Callable[[Connection, u8], None]) -> bool:
    """Accept connections to `port`; `handler` hears of them. False if the port is 0 or taken or the table full."""
    if port == 0 or listener_of(host, port) != LISTENERS:
        return False
    for i in range(LISTENERS):
        if host.listeners[i].port == 0:
            host.listeners[i].port = port
            host.listeners[i].handler = handler
            return True
    return False


def unlisten(host: Host, port: u16) -> None:
    """Accept no more of them; those that are open stay so."""
    if port != 0 and listener_of(host, port) != LISTENERS:
        host.listeners[listener_of(host, port)].port = 0


def listener_of(host: Host, port: u16) -> u64:
    """The number of who listens there; LISTENERS if nobody does."""
    for i in range(LISTENERS):
        if host.listeners[i].port == port:
            return i
    return LISTENERS


def connect(
    host: Host, address: u32, port: u16, station: u64, handler: Callable[[Connection, u8], None], now: u64
) -> Ptr[Connection]:
    """Open a connection; null if there is no row or no port for it. `handler` hears OPENED, or LOST."""
    for _ in range(64):
        host.last_port = host.last_port + 1 if host.last_port >= EPHEMERAL and host.last_port != NONE else EPHEMERAL
        if find(host, address, port, host.last_port) == NONE:
            return connect_from(host, host.last_port, address, port, station, handler, now)
    return Ptr[Connection](0)


def connect_from(
    host: Host, local_port: u16, address: u32, port: u16, station: u64, handler: Callable[[Connection, u8], None],
    now: u64,
) -> Ptr[Connection]:  # fmt: skip
    """The same from a port of the caller's choice, which must not be in use with that peer."""
    if port == 0 or find(host, address, port, local_port) != NONE:
        return Ptr[Connection](0)
    row = take_row(host, address, port, local_port, now)
    if row == NONE:
        return Ptr[Connection](0)
    connection = host.connections[row]
    connection.handler = handler
    connection.station = station
    connection.state = State.SYN_SENT
    sequence, offset = initial_sequence(host, address, port, local_port, now)
    begin(host, connection, sequence, offset)
    send_syn(host, connection, now)
    return addr(connection)


def initial_sequence(host: Host, address: u32, port: u16, local_port: u16, now: u64) -> tuple[Sequence, u32]:
    """The number of our SYN (RFC 6528): a clock of four microseconds, and an offset that nobody else can know. Second
    comes another one, for our timestamps (RFC 7323 section 7.1).
    """
    name = (u64(address) << 32) | (u64(port) << 16) | local_port
    clock = now // max(host.second // 250_000, 1)
    secret = siphash.of_words(host.key0, host.key1, name, 0)
    return Sequence(u32(clock + secret)), u32(secret >> 32)


def accept(
    host: Host, listener: u64, station: u64, source: u32, packet: Span[u8], sequence: Sequence, offset: u32,
    expected: Sequence, options: segment.Options, now: u64,
) -> u16:  # fmt: skip
    """The row of a connection that the sender of `packet` begins, in SYN-RECEIVED, or NONE: our SYN has the number
    `sequence`, our timestamps that offset, and the peer's first byte is `expected`.
    """
    header = view(segment.Header, packet)
    row = take_row(host, source, header.source_port, header.destination_port, now)
    if row != NONE:
        connection = host.connections[row]
        connection.handler = host.listeners[listener].handler
        connection.station = station
        connection.passive = True
        connection.state = State.SYN_RECEIVED
        host.half_open += 1
        begin(host, connection, sequence, offset)
        take_options(connection, options)
        take_peer(host, connection, expected, options.largest)
    return row


def begin(host: Host, connection: Connection, sequence: Sequence, offset: u32) -> None:
    """Our SYN has this number and offers all that there is; the peer's decides."""
    connection.unacknowledged = sequence
    connection.next = sequence.plus(1)
    connection.highest = sequence.plus(1)
    connection.recover = sequence
    connection.hole = sequence
    connection.expected = Sequence(0)
    connection.edge = Sequence(0)
    connection.told = Sequence(0)
    connection.recent = 0
    connection.stamp_offset = offset
    connection.segment_size = DEFAULT_LARGEST
    connection.selective = True
    connection.stamped = True
    connection.receive_scale = scale_for(host)


def take_options(connection: Connection, options: segment.Options) -> None:
    """Only what both sides want is done."""
    connection.selective = connection.selective and options.selective
    connection.stamped = connection.stamped and options.stamped
    connection.recent = options.stamp
    connection.scaled = options.scale != segment.NO_SCALE
    if connection.scaled:
        connection.send_scale = options.scale
    else:
        connection.receive_scale = 0


def take_peer(host: Host, connection: Connection, expected: Sequence, largest: u16) -> None:
    """The peer's first byte has the number `expected`; `largest` is 0 if it did not say what it takes."""
    connection.expected = expected
    size = min(max(u32(largest if largest != 0 else DEFAULT_LARGEST), SMALLEST), LARGEST)
    connection.segment_size = size - segment.STAMPS_LENGTH if connection.stamped else size  # RFC 6691
    connection.told = expected
    congestion.begin(connection)
    connection.edge = expected.plus(first_window(host))


def scale_for(host: Host) -> u8:
    """The least scale with which a whole buffer can be told."""
    scale: u8 = 0
    while host.buffer_size >> scale > 0xFFFF:
        scale += 1
    return scale
