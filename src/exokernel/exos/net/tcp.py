# SPDX-License-Identifier: MIT
"""TCP (RFC 9293) as pure data: a table of connections, and what a segment, a time or the application does to it. It
reads no clock and touches no device: time comes in as `now`, segments are built where `Host.output` says and leave
through `Host.transmit`. docs/network.md says what of each RFC is here.

A connection belongs to whoever opened it or listens on its port, who hears of it through one handler: OPENED first,
READABLE, WRITABLE and END as they come, LOST as the last. After `close` or `abort`, after LOST, and when both have
finished (`finish` here and END there, in whatever order) it must not be used: its row may be another's. Nothing here
waits and nothing grows: rows and buffers are the application's, given once; a connection holds a buffer only while
bytes are in it, so an idle one is its row, below 400 bytes.
"""

from collections.abc import Callable
from enum import IntEnum

from exokernel.exos.net import segment, siphash
from exokernel.exos.net.drop import Drop
from exokernel.exos.net.segment import Flag
from exokernel.exos.net.sequence import Sequence
from exokernel.metal import Array, Ptr, Span, addr, inline, struct, u8, u16, u32, u64, view

NEVER = 0xFFFF_FFFF_FFFF_FFFF
NONE = 0xFFFF  # no row, no buffer
LISTENERS = 16
RANGES = 4  # runs of bytes that arrived before what precedes them, or are known to have arrived
LARGEST = 1460  # bytes of a segment: Ethernet's 1500 without the headers
DEFAULT_LARGEST = 536  # for a peer that says nothing (RFC 9293 section 3.7.1)
SMALLEST = 64  # whatever a peer says: it cannot make us send in crumbs
INITIAL_SEGMENTS = 10  # the congestion window at the start (RFC 6928)
STAMPED_BLOCKS = 3  # of what is held that can be told beside timestamps
DUPLICATES = 3  # acknowledgments that say "lost" (RFC 5681 section 3.2)
EPHEMERAL = 49152  # ports of ours for connections that we open: from here on

# Seconds
FIRST_TIMEOUT = 1  # RFC 6298 section 2
LONGEST_TIMEOUT = 60
CLOSED_WAIT = 60  # without progress, once nobody here reads any more
TIME_WAIT = 60  # two lifetimes of a segment, 30 s each
KEEP_ALIVE_INTERVAL = 75
COOKIE_PERIOD = 64
STAMP_LIFETIME = 24 * 24 * 60 * 60  # until a peer's clock may have gone half around (RFC 7323 section 5.5)

# Fractions of a second
SHORTEST_TIMEOUT = 5
ACKNOWLEDGE = 25  # how long an acknowledgment may wait for company (RFC 9293 section 3.8.6.3: below a half)
CHALLENGE = 2  # one such answer in this time (RFC 5961 section 7)
RETRY = 20  # until a writer that found no buffer is asked again

SYN_ATTEMPTS = 5
ATTEMPTS = 10  # of anything else, until the connection is given up
KEEP_ALIVE_ATTEMPTS = 9


class State(IntEnum):
    """RFC 9293 section 3.3.2. LISTEN is not a connection's."""

    CLOSED = 0  # the row is free
    SYN_SENT = 1
    SYN_RECEIVED = 2
    ESTABLISHED = 3
    FIN_WAIT_1 = 4
    FIN_WAIT_2 = 5
    CLOSE_WAIT = 6
    CLOSING = 7
    LAST_ACK = 8
    TIME_WAIT = 9


class Event(IntEnum):
    """What a handler is called for."""

    OPENED = 0  # both sides have agreed; `write` worked before already
    READABLE = 1  # there is something new for `arrived`
    WRITABLE = 2  # a `write` took less than it was given, and now there is room
    END = 3  # the peer sends no more; what has arrived can be read, and one can still write
    LOST = 4  # reset by the peer, or given up after too long a silence


@struct
class Range:
    """Numbers from `start` up to, not including, `end`."""

    start: Sequence
    end: Sequence


@struct
class Connection:
    handler: Callable[["Connection", u8], None]
    user: u64  # the application's own
    station: u64  # where its segments go, as for `interface.send_ipv4`
    address: u32  # the peer's
    port: u16  # the peer's
    local_port: u16
    state: u8
    passive: bool  # it began with a listener
    finishing: bool  # a FIN goes behind the last byte
    deaf: bool  # the application has closed it: no more events, and what arrives is thrown away
    busy: bool  # inside `receive`, which sends when everything is known
    no_delay: bool  # without Nagle's algorithm (RFC 9293 section 3.7.4)
    generation: u32  # moves on when the row becomes free
    number: u16  # of the row
    chain: u16  # the next row in the same bucket, or the next free one
    bucket: u16  # the first row of the bucket that has this row's number

    # Sending
    unacknowledged: Sequence  # SND.UNA
    next: Sequence  # SND.NXT; after a timeout it goes back
    highest: Sequence  # one behind the last number ever sent
    window_sequence: Sequence  # SND.WL1
    window_acknowledgment: Sequence  # SND.WL2
    window: u32  # SND.WND
    largest_window: u32
    segment_size: u32
    send_start: u32  # of the first unacknowledged byte in the buffer, which is a ring
    send_length: u32
    send_buffer: u16
    send_scale: u8
    wants_room: bool
    scaled: bool  # both sides know window scaling

    # Timestamps (RFC 7323 section 3)
    stamped: bool  # both sides send them
    stamp_offset: u32  # of our clock on this connection
    recent: u32  # TS.Recent: of the peer's
    told: Sequence  # Last.ACK.sent

    # Congestion
    congestion: u32  # the window
    threshold: u32  # of slow start
    recover: Sequence  # RFC 6582: what was sent when the loss was seen
    hole: Sequence  # what to send again next
    recovering: bool
    duplicates: u8
    selective: bool  # both sides know selective acknowledgments
    sacked_count: u8
    sacked: Array[Range, RANGES]  # has arrived there, in no order

    # Receiving
    expected: Sequence  # RCV.NXT
    edge: Sequence  # the end of the window that the peer knows
    arrived_at: u64  # address of the bytes not yet consumed: in the buffer, or still in the frame
    arrived_length: u32
    receive_buffer: u16
    receive_scale: u8
    held_count: u8
    held: Array[Range, RANGES]  # in the buffer behind what has arrived, in order

    # Time
    retransmit_at: u64
    acknowledge_at: u64
    idle_at: u64
    heard_at: u64  # the last segment
    progress_at: u64  # the last byte that got through, in either direction
    sent_at: u64
    timed_at: u64
    timed: Sequence  # an acknowledgment of this one measures the round trip
    timing: bool
    measured: bool
    attempts: u8
    probes: u8
    smoothed: u64  # SRTT
    variation: u64  # RTTVAR
    timeout: u64  # RTO
    challenge_at: u64  # from when on a challenge may be sent again
    keep_alive: u32  # seconds of silence before the peer is asked; 0: never
    patience: u32  # seconds without progress before the connection is given up; 0: for ever
    unanswered: u32  # bytes received and not acknowledged
    must_acknowledge: bool
    acknowledge_now: bool


@struct
class Listener:
    port: u16  # 0: free
    handler: Callable[[Connection, u8], None]


@struct
class Host:
    address: u32
    second: u64  # in the clock's ticks
    next_deadline: u64  # when `tick` wants to run
    key0: u64  # secrets
    key1: u64
    connections: Span[Connection]
    free_row: u16
    free_buffer: u16
    half_open: u16  # rows in SYN_RECEIVED
    hand: u16  # where the search for a row that only waits goes on
    last_port: u16
    buffer_size: u32
    stamp_shift: u8  # from the clock to timestamps of 1 ms or a little more
    buffers: Span[u8]
    listeners: Array[Listener, LISTENERS]
    cookies_until: u64  # when the last SYN cookie expires
    output: Callable[[], Span[u8]]  # where the next segment is built: at least 20 + LARGEST bytes
    transmit: Callable[[u32, u64, u64, u64], bool]  # address, station, length, now
    opened: u64
    retransmitted: u64
    lost: u64
    cookies: u64


@struct
class Arrival:
    """A segment taken apart; `start` and `end` are where its data are in the packet."""

    sequence: Sequence
    acknowledgment: Sequence
    window: u32
    flags: u8
    options: u64  # their end
    start: u64
    end: u64


def ignore(connection: Connection, event: u8) -> None:
    """Stands where nobody listens."""


def nowhere(address: u32, station: u64, length: u64, now: u64) -> bool:
    """Stands where no network is."""
    return False


def no_place() -> Span[u8]:
    """The same."""
    return Span[u8](Ptr[u8](0), 0)


def new() -> Host:
    """For the initial value of a module variable; runs when the image is built."""
    return Host(
        listeners=Array[Listener, LISTENERS]([Listener(0, ignore) for _ in range(LISTENERS)]),
        output=no_place,
        transmit=nowhere,
    )


def new_connection() -> Connection:
    """The same for an element of a table of connections."""
    return Connection(ignore)


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
    host.stamp_shift = 0
    while host.second >> host.stamp_shift > 1000:
        host.stamp_shift += 1
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


# ---- rows and buffers


def buffer_of(host: Host, number: u16) -> Span[u8]:
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
    connection.sacked_count = 0
    connection.arrived_length = 0
    connection.receive_buffer = NONE
    connection.receive_scale = 0
    connection.scaled = True
    connection.stamped = False
    connection.held_count = 0
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
    connection.timeout = FIRST_TIMEOUT * host.second
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
    if connection.send_buffer != NONE:
        put_buffer(host, connection.send_buffer)
    connection.send_buffer = NONE
    connection.send_length = 0
    forget_received(host, connection)


def forget_received(host: Host, connection: Connection) -> None:
    if connection.receive_buffer != NONE:
        put_buffer(host, connection.receive_buffer)
    connection.receive_buffer = NONE
    connection.arrived_length = 0
    connection.held_count = 0


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
    if not connection.deaf:
        connection.handler(connection, event)


# ---- what the application does


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
    begin(host, connection, initial_sequence(host, address, port, local_port, now))
    connection.selective = True  # what is offered; the answer decides
    connection.stamped = True
    connection.receive_scale = scale_for(host)
    send_syn(host, connection, now)
    return addr(connection)


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
    if connection.arrived_length == 0 and connection.held_count == 0 and connection.receive_buffer != NONE:
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
    state = connection.state
    open_ = state == State.ESTABLISHED or state == State.CLOSE_WAIT
    return (open_ or state == State.SYN_SENT or state == State.SYN_RECEIVED) and not connection.finishing


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
    if connection.state == State.ESTABLISHED:
        connection.state = State.FIN_WAIT_1
    elif connection.state == State.CLOSE_WAIT:
        connection.state = State.LAST_ACK
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


# ---- arrival


def receive(host: Host, station: u64, source: u32, packet: Span[u8], now: u64) -> u8:
    """Do what is to be done about one segment from `source`, which came from `station`. Whatever its bytes are, this
    returns: Drop.NONE, or why nothing came of it.
    """
    reason = segment.check(packet, source, host.address)
    if reason != Drop.NONE:
        return reason
    header = view(segment.Header, packet)
    arrival = Arrival(
        Sequence(header.sequence), Sequence(header.acknowledgment), header.window, header.flags, header.length(),
        header.length(), len(packet),
    )  # fmt: skip
    row = find(host, source, header.source_port, header.destination_port)
    if row != NONE:
        connection = host.connections[row]
        if connection.state != State.TIME_WAIT or not is_new_syn(connection, arrival):
            return arrive(host, connection, packet, arrival, now)
        release(host, connection)  # RFC 9293 section 3.6.1: an old connection makes place for a new one
    return arrive_unknown(host, station, source, packet, arrival, now)


def is_new_syn(connection: Connection, arrival: Arrival) -> bool:
    return arrival.flags & (Flag.SYN | Flag.ACK | Flag.RST) == Flag.SYN and arrival.sequence.after(connection.expected)


def arrive_unknown(host: Host, station: u64, source: u32, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """A segment of no connection (RFC 9293 section 3.10.7.1 and 2)."""
    header = view(segment.Header, packet)
    if arrival.flags & Flag.RST:
        return Drop.TCP_PORT
    listener = listener_of(host, header.destination_port)
    if listener == LISTENERS:
        refuse(host, station, source, packet, arrival, now)
        return Drop.TCP_PORT
    if arrival.flags & Flag.ACK:
        if arrival.flags & Flag.SYN == 0 and now < host.cookies_until:
            largest = check_cookie(host, source, header.source_port, header.destination_port, arrival, now)
            if largest != 0:
                row = take_row(host, source, header.source_port, header.destination_port, now)
                if row == NONE:
                    return Drop.TCP_MEMORY
                connection = host.connections[row]
                connection.handler = host.listeners[listener].handler
                connection.station = station
                connection.passive = True
                connection.state = State.SYN_RECEIVED
                host.half_open += 1
                connection.scaled = False
                begin(host, connection, arrival.acknowledgment.minus(1))
                connection.next = arrival.acknowledgment
                connection.highest = arrival.acknowledgment
                take_peer(host, connection, arrival.sequence, largest)
                return arrive(host, connection, packet, arrival, now)
            return Drop.TCP_SEQUENCE  # perhaps a later segment of a peer whose first one is still to come
        refuse(host, station, source, packet, arrival, now)
        return Drop.TCP_PORT
    if arrival.flags & (Flag.SYN | Flag.FIN) != Flag.SYN:
        return Drop.TCP_PORT
    options = segment.Options()
    segment.read_options(packet[segment.HEADER : arrival.options], options)
    if u64(host.half_open) * 4 > len(host.connections):
        send_cookie(host, station, source, packet, arrival, options.largest, now)
        return Drop.NONE
    row = take_row(host, source, header.source_port, header.destination_port, now)
    if row == NONE:
        return Drop.TCP_MEMORY
    connection = host.connections[row]
    connection.handler = host.listeners[listener].handler
    connection.station = station
    connection.passive = True
    connection.state = State.SYN_RECEIVED
    host.half_open += 1
    sequence = initial_sequence(host, source, connection.port, connection.local_port, now)
    if now < host.cookies_until:  # it may have got one for the same SYN
        sequence = cookie_for(host, source, packet, arrival, options.largest, now)
    begin(host, connection, sequence)
    connection.receive_scale = scale_for(host)
    connection.selective = True
    connection.stamped = True
    take_options(connection, options)
    take_peer(host, connection, arrival.sequence.plus(1), options.largest)
    take_window(connection, arrival, arrival.window)
    send_syn(host, connection, now)
    return Drop.NONE


def arrive(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """A segment of this connection, and what is sent because of it."""
    generation = connection.generation
    connection.busy = True
    reason = (
        arrive_opening(host, connection, packet, arrival, now)
        if connection.state == State.SYN_SENT
        else arrive_open(host, connection, packet, arrival, now)
    )
    if connection.generation == generation:
        if connection.wants_room and connection.send_length <= host.buffer_size // 2 and may_write(connection):
            connection.wants_room = False
            notify(connection, Event.WRITABLE)
    if connection.generation == generation:
        connection.busy = False
        open_window(host, connection)
        settle(host, connection, now)
    return reason


def arrive_opening(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """In SYN-SENT (RFC 9293 section 3.10.7.3)."""
    acknowledges = arrival.flags & Flag.ACK != 0
    if acknowledges and arrival.acknowledgment != connection.highest:
        if arrival.flags & Flag.RST == 0:
            emit_bare(host, connection, Flag.RST, arrival.acknowledgment, Sequence(0), now)
        return Drop.TCP_SEQUENCE
    if arrival.flags & Flag.RST:
        if not acknowledges:
            return Drop.TCP_SEQUENCE
        lose(host, connection)
        return Drop.NONE
    if arrival.flags & Flag.SYN == 0:
        return Drop.TCP_SEQUENCE
    options = segment.Options()
    segment.read_options(packet[segment.HEADER : arrival.options], options)
    take_options(connection, options)
    take_peer(host, connection, arrival.sequence.plus(1), options.largest)
    take_window(connection, arrival, arrival.window)
    if not acknowledges:  # both began at once
        connection.state = State.SYN_RECEIVED
        host.half_open += 1
        connection.attempts = 0
        send_syn(host, connection, now)
        return Drop.NONE
    connection.acknowledge_now = True
    connection.must_acknowledge = True
    arrival.sequence = arrival.sequence.plus(1)
    arrival.flags ^= Flag.SYN
    return opened(host, connection, packet, arrival, now)


def opened(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """Both have agreed: the segment acknowledges our SYN. What else it carries is taken too."""
    if connection.state == State.SYN_RECEIVED:
        host.half_open -= 1
    host.opened += 1
    connection.state = State.ESTABLISHED
    if connection.finishing:
        connection.state = State.FIN_WAIT_1
    connection.unacknowledged = arrival.acknowledgment
    advance(host, connection, arrival, now)
    generation = connection.generation
    notify(connection, Event.OPENED)
    if connection.generation != generation:
        return Drop.NONE
    return take_data(host, connection, packet, arrival, now)


def arrive_open(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """In every other state (RFC 9293 section 3.10.7.4, RFC 5961)."""
    opening = connection.state == State.SYN_RECEIVED
    if opening and arrival.flags & Flag.SYN and arrival.sequence.plus(1) == connection.expected:
        if arrival.flags & Flag.ACK == 0:
            send_syn(host, connection, now)  # our answer was lost
            return Drop.NONE
        arrival.flags ^= Flag.SYN  # both began at once, and the peer has heard us
        arrival.sequence = connection.expected

    stamp: u32 = 0
    if connection.stamped:
        stamp, found = segment.find_stamp(packet, arrival.options)
        if not found and arrival.flags & Flag.RST == 0:
            return Drop.TCP_SEQUENCE
        if not found:
            stamp = connection.recent
        elif is_old(host, connection, stamp, now) and arrival.flags & Flag.RST == 0:
            connection.acknowledge_now = True
            connection.must_acknowledge = True
            return Drop.TCP_SEQUENCE

    syn = arrival.flags & Flag.SYN != 0
    fin = arrival.flags & Flag.FIN != 0
    length = u32(arrival.end - arrival.start) + u32(syn) + u32(fin)
    window = connection.edge.since(connection.expected)
    start = arrival.sequence
    if length == 0:
        acceptable = start.within(connection.expected, window + 1)
    else:
        acceptable = start.within(connection.expected, window)
        acceptable = acceptable or start.plus(length - 1).within(connection.expected, window)
    if not acceptable:
        if arrival.flags & Flag.RST:
            return Drop.TCP_SEQUENCE
        if window == 0 and start == connection.expected and not syn:
            arrival.end = arrival.start  # a probe of our closed window: its acknowledgment counts
            arrival.flags &= 0xFF ^ Flag.FIN
            connection.acknowledge_now = True
            connection.must_acknowledge = True
        else:
            if connection.state == State.TIME_WAIT and fin:
                wait_out(host, connection, now)
            if length > u32(syn):
                connection.acknowledge_now = True
                connection.must_acknowledge = True
            else:
                challenge(host, connection, now)
            return Drop.TCP_SEQUENCE

    if arrival.flags & Flag.RST:
        if connection.state == State.TIME_WAIT:
            return Drop.TCP_SEQUENCE  # RFC 1337
        if start != connection.expected:
            challenge(host, connection, now)
            return Drop.TCP_SEQUENCE
        lose(host, connection)
        return Drop.NONE
    if syn:
        challenge(host, connection, now)
        return Drop.TCP_SEQUENCE
    if arrival.flags & Flag.ACK == 0:
        return Drop.TCP_SEQUENCE
    connection.heard_at = now
    connection.probes = 0
    if opening:
        if arrival.acknowledgment != connection.highest:
            if now >= host.cookies_until:
                emit_bare(host, connection, Flag.RST, arrival.acknowledgment, Sequence(0), now)
            return Drop.TCP_SEQUENCE
        connection.recent = stamp
        take_window(connection, arrival, arrival.window << connection.send_scale)
        return opened(host, connection, packet, arrival, now)
    old = arrival.acknowledgment.before(connection.unacknowledged.minus(connection.largest_window))
    if old or arrival.acknowledgment.after(connection.highest):  # RFC 5961 section 5
        challenge(host, connection, now)
        return Drop.TCP_SEQUENCE
    if connection.stamped and not start.after(connection.told):
        connection.recent = stamp  # it is the one to be echoed (RFC 7323 section 4.3)
    generation = connection.generation
    acknowledge(host, connection, packet, arrival, now)
    if connection.generation != generation:
        return Drop.NONE
    return take_data(host, connection, packet, arrival, now)


@inline
def is_old(host: Host, connection: Connection, stamp: u32, now: u64) -> bool:
    """Whether a segment is an old duplicate, by its sender's clock (PAWS, RFC 7323 section 5)."""
    behind = (stamp - connection.recent) & 0x8000_0000 != 0
    return behind and now - connection.heard_at < STAMP_LIFETIME * host.second


def take_data(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """The data of an acceptable segment, and its FIN."""
    data = packet[arrival.start : arrival.end]
    fin = arrival.flags & Flag.FIN != 0
    state = connection.state
    if len(data) == 0 and not fin:
        return Drop.NONE
    connection.must_acknowledge = True
    if state != State.ESTABLISHED and state != State.FIN_WAIT_1 and state != State.FIN_WAIT_2:
        connection.acknowledge_now = True  # the peer had already sent its last
        if state == State.TIME_WAIT and fin:
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
        connection.acknowledge_now = True  # tells the peer what is missing (RFC 5681 section 4.2)
        return hold(host, connection, start, data)
    generation = connection.generation
    if len(data) != 0:
        if not connection.deaf:
            connection.progress_at = now
        if connection.held_count != 0:
            connection.acknowledge_now = True  # it fills a gap (RFC 5681 section 4.2)
        if not deliver(host, connection, data):
            connection.acknowledge_now = True
            return Drop.TCP_MEMORY
        if connection.generation != generation:
            return Drop.NONE
        connection.unanswered += u32(len(data))
        if connection.unanswered >= 2 * connection.segment_size:
            connection.acknowledge_now = True
    if fin and connection.expected == last:
        connection.expected = last.plus(1)
        connection.edge = connection.edge.plus(1)
        connection.acknowledge_now = True
        connection.progress_at = now
        if connection.state == State.ESTABLISHED:
            connection.state = State.CLOSE_WAIT
        elif connection.state == State.FIN_WAIT_1:
            connection.state = State.CLOSING
        elif connection.state == State.FIN_WAIT_2:
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
        if len(data) != 0:
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
        if connection.held_count != 0:
            kept += connection.held[connection.held_count - 1].end.since(connection.expected)
        buffer[:kept].copy_from(buffer[offset : offset + kept])
        connection.arrived_at = u64(addr(buffer[0]))
        offset = 0
    buffer[offset + distance : offset + distance + len(data)].copy_from(data)


def hold(host: Host, connection: Connection, start: Sequence, data: Span[u8]) -> u8:
    """Keep bytes that come too early: at most RANGES runs of them."""
    if len(data) == 0 or connection.deaf:
        return Drop.TCP_SEQUENCE
    end = start.plus(u32(len(data)))
    held = connection.held
    count = u64(connection.held_count)
    first: u64 = 0  # the run that it touches or that comes behind it
    while first < count and held[first].end.before(start):
        first += 1
    last = first  # one behind the last run that it touches
    new_start, new_end = start, end
    while last < count and not held[last].start.after(end):
        if held[last].start.before(new_start):
            new_start = held[last].start
        if held[last].end.after(new_end):
            new_end = held[last].end
        last += 1
    if last == first and count == RANGES:
        return Drop.TCP_MEMORY
    if connection.receive_buffer == NONE:
        connection.receive_buffer = take_buffer(host)
        if connection.receive_buffer == NONE:
            return Drop.TCP_MEMORY
        connection.arrived_at = u64(addr(buffer_of(host, connection.receive_buffer)[0]))
    store(host, connection, start, data)
    if last == first:
        i = count
        while i > first:
            held[i].copy_from(held[i - 1])
            i -= 1
        connection.held_count += 1
    else:
        for i in range(last, count):
            held[first + 1 + i - last].copy_from(held[i])
        connection.held_count -= u8(last - first - 1)
    held[first].start = new_start
    held[first].end = new_end
    return Drop.NONE


def join_held(connection: Connection) -> None:
    """What was held and now comes next has arrived."""
    held = connection.held
    while connection.held_count != 0 and not held[0].start.after(connection.expected):
        if held[0].end.after(connection.expected):
            connection.arrived_length += held[0].end.since(connection.expected)
            connection.expected = held[0].end
        for i in range(1, connection.held_count):
            held[i - 1].copy_from(held[i])
        connection.held_count -= 1


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
            connection.must_acknowledge = True
            connection.acknowledge_now = True
        connection.edge = edge


# ---- acknowledgments


def take_window(connection: Connection, arrival: Arrival, window: u32) -> None:
    """RFC 9293 section 3.10.7.4: the newest segment says what the peer has room for."""
    connection.window = window
    connection.largest_window = max(connection.largest_window, window)
    connection.window_sequence = arrival.sequence
    connection.window_acknowledgment = arrival.acknowledgment


def acknowledge(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> None:
    """What an acceptable acknowledgment does to what is under way."""
    acknowledgment = arrival.acknowledgment
    window = arrival.window << connection.send_scale
    usual = segment.HEADER + segment.STAMPS_LENGTH if connection.stamped else u64(segment.HEADER)
    if connection.selective and arrival.options > usual:
        note_sacked(connection, segment.find_blocks(packet[segment.HEADER : arrival.options]))
    if acknowledgment.after(connection.unacknowledged):
        generation = connection.generation
        advance(host, connection, arrival, now)
        if connection.generation != generation:
            return
    elif acknowledgment == connection.unacknowledged:
        if window == 0:
            connection.attempts = 0  # it is there, and may keep us waiting (RFC 9293 section 3.8.6.1)
        bare = arrival.start == arrival.end and arrival.flags & Flag.FIN == 0
        if bare and window == connection.window and window != 0 and connection.highest != connection.unacknowledged:
            duplicate(host, connection, now)
    else:
        return
    older = connection.window_sequence.after(arrival.sequence)
    same = connection.window_sequence == arrival.sequence
    if not older and not (same and connection.window_acknowledgment.after(acknowledgment)):
        was_closed = connection.window == 0
        take_window(connection, arrival, window)
        if was_closed and window != 0:
            connection.next = connection.unacknowledged  # what probed the window may have been thrown away
            connection.retransmit_at = NEVER
            connection.attempts = 0
            set_timeout(host, connection)


def advance(host: Host, connection: Connection, arrival: Arrival, now: u64) -> None:
    """Something new is acknowledged. The connection may be gone afterwards."""
    acknowledgment = arrival.acknowledgment
    count = acknowledgment.since(connection.unacknowledged)
    data = min(count, connection.send_length)
    fin = count > data
    connection.send_start += data
    if connection.send_start >= host.buffer_size:
        connection.send_start -= host.buffer_size
    connection.send_length -= data
    connection.unacknowledged = acknowledgment
    if connection.next.before(acknowledgment):
        connection.next = acknowledgment
    connection.attempts = 0
    connection.progress_at = now
    if connection.timing and not acknowledgment.before(connection.timed):
        connection.timing = False
        measure(host, connection, now - connection.timed_at)
    forget_sacked(connection)
    size = connection.segment_size
    if connection.recovering:
        if acknowledgment.before(connection.recover):  # RFC 6582 section 3.2: the next hole
            connection.congestion -= min(connection.congestion, data)
            connection.congestion += size
            if not connection.selective or connection.hole.before(acknowledgment):
                connection.hole = acknowledgment
            resend(host, connection, now)
        else:
            connection.recovering = False
            flight = connection.highest.since(acknowledgment)
            connection.congestion = min(connection.threshold, max(flight, size) + size)
    elif data != 0 and connection.congestion < 4 * host.buffer_size:  # what is never used need not grow
        if connection.congestion < connection.threshold:
            connection.congestion += min(data, size)
        else:
            connection.congestion += max(size * size // connection.congestion, 1)
    connection.duplicates = 0
    if connection.unacknowledged == connection.highest:
        connection.retransmit_at = NEVER
    else:
        due_again(host, connection, now)
    if connection.send_length == 0 and connection.send_buffer != NONE:
        put_buffer(host, connection.send_buffer)
        connection.send_buffer = NONE
    if fin:
        if connection.state == State.FIN_WAIT_1:
            connection.state = State.FIN_WAIT_2
        elif connection.state == State.CLOSING:
            wait_out(host, connection, now)
            connection.deaf = True
            forget_received(host, connection)
        elif connection.state == State.LAST_ACK:
            connection.deaf = True
            release(host, connection)


def duplicate(host: Host, connection: Connection, now: u64) -> None:
    """The peer has got something, but not what comes next (RFC 5681 section 3.2, RFC 6582)."""
    size = connection.segment_size
    if connection.recovering:
        if not connection.selective or not resend(host, connection, now):
            connection.congestion += size
        return
    connection.duplicates = min(connection.duplicates + 1, DUPLICATES)
    if connection.duplicates < DUPLICATES or connection.unacknowledged.before(connection.recover):
        return
    flight = connection.highest.since(connection.unacknowledged)
    connection.threshold = max(flight // 2, 2 * size)
    connection.recover = connection.highest
    connection.recovering = True
    connection.hole = connection.unacknowledged
    connection.timing = False
    connection.congestion = connection.threshold + DUPLICATES * size
    resend(host, connection, now)
    due_again(host, connection, now)


def resend(host: Host, connection: Connection, now: u64) -> bool:
    """Send the segment at `hole` again, or the first one behind it that is not known to have arrived; False if nothing
    is known to be missing.
    """
    at = connection.hole
    if at.before(connection.unacknowledged):
        at = connection.unacknowledged
    end = connection.unacknowledged.plus(connection.send_length)
    beyond = at == connection.unacknowledged  # something that did arrive lies behind it
    moved = True
    while moved:
        moved = False
        for i in range(connection.sacked_count):
            run = connection.sacked[i]
            if not at.before(run.start) and at.before(run.end):
                at = run.end
                moved = True
    limit = end
    for i in range(connection.sacked_count):
        run = connection.sacked[i]
        if run.start.after(at):
            beyond = True
            if run.start.before(limit):
                limit = run.start
    if not beyond or not at.before(connection.highest):
        return False
    host.retransmitted += 1
    if not at.before(end):  # only the FIN is left
        emit(host, connection, Flag.ACK | Flag.FIN, end, connection.send_length, 0, now)
        connection.hole = end.plus(1)
        return True
    count = min(limit.since(at), connection.segment_size)
    flags: u8 = Flag.ACK
    if at.plus(count) == end:
        flags |= Flag.PSH
    emit(host, connection, flags, at, at.since(connection.unacknowledged), count, now)
    connection.hole = at.plus(count)
    return True


def note_sacked(connection: Connection, blocks: Span[u8]) -> None:
    """RFC 2018: the peer says what it has. Only what was sent is believed; when there is no place, it is forgotten."""
    for i in range(len(blocks) // segment.BLOCK):
        block = view(segment.Block, blocks, i * segment.BLOCK)
        start = Sequence(block.start)
        end = Sequence(block.end)
        if not start.before(end) or not start.after(connection.unacknowledged) or end.after(connection.highest):
            continue
        row = u64(connection.sacked_count)
        for j in range(connection.sacked_count):
            run = connection.sacked[j]
            if not start.after(run.end) and not end.before(run.start):
                if run.start.before(start):
                    start = run.start
                if run.end.after(end):
                    end = run.end
                row = j
        if row == RANGES:
            continue
        if row == connection.sacked_count:
            connection.sacked_count += 1
        connection.sacked[row].start = start
        connection.sacked[row].end = end


def forget_sacked(connection: Connection) -> None:
    """Of what is acknowledged anyway."""
    i: u64 = 0
    while i < connection.sacked_count:
        if connection.sacked[i].end.after(connection.unacknowledged):
            i += 1
        else:
            connection.sacked_count -= 1
            connection.sacked[i].copy_from(connection.sacked[connection.sacked_count])


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
    timeout = FIRST_TIMEOUT * host.second
    if connection.measured:
        timeout = connection.smoothed + max(4 * connection.variation, host.second // 1000)
    connection.timeout = min(max(timeout, host.second // SHORTEST_TIMEOUT), LONGEST_TIMEOUT * host.second)


# ---- departure


def settle(host: Host, connection: Connection, now: u64) -> None:
    """Send what may be sent, and an acknowledgment if one is owed and nothing carried it."""
    push(host, connection, now)
    if connection.must_acknowledge:
        if connection.acknowledge_now:
            acknowledge_bare(host, connection, now)
        elif connection.acknowledge_at == NEVER:
            due(host, connection, now + host.second // ACKNOWLEDGE)


def acknowledge_bare(host: Host, connection: Connection, now: u64) -> None:
    """An acknowledgment without data. Its number is one that the peer expects, also when what it got is sent again."""
    probing = connection.window == 0 and connection.state >= State.ESTABLISHED
    sequence = connection.next if probing else connection.highest
    if not emit(host, connection, Flag.ACK, sequence, 0, 0, now):
        due(host, connection, now + host.second // ACKNOWLEDGE)


def push(host: Host, connection: Connection, now: u64) -> None:
    """Send as much as both windows allow."""
    state = connection.state
    if state < State.ESTABLISHED or state == State.FIN_WAIT_2 or state == State.TIME_WAIT:
        return
    size = connection.segment_size
    length = connection.send_length
    if length == 0 and not connection.finishing:
        return
    if connection.highest == connection.unacknowledged and now - connection.sent_at > connection.timeout:
        connection.congestion = min(connection.congestion, INITIAL_SEGMENTS * size)  # RFC 5681 section 4.1
    allowed = connection.congestion
    if not connection.recovering and connection.duplicates < DUPLICATES:
        allowed += connection.duplicates * size  # RFC 3042
    allowed = min(allowed, connection.window)
    while True:
        sent = connection.next.since(connection.unacknowledged)
        if sent > length:
            return  # the FIN as well
        unsent = length - sent
        space = allowed - sent if allowed > sent else 0
        count = min(unsent, size, space)
        fin = connection.finishing and count == unsent
        if count == 0 and not fin:
            break
        if count < size and not fin:
            if count < unsent:
                if sent != 0 or count < connection.largest_window // 2:
                    break  # RFC 9293 section 3.8.6.2.1: no crumbs
            elif sent != 0 and not connection.no_delay:
                break  # Nagle
        flags: u8 = Flag.ACK
        if fin:
            flags |= Flag.FIN
        if count == unsent and count != 0:
            flags |= Flag.PSH
        if not emit(host, connection, flags, connection.next, sent, count, now):
            break  # when the timer ends it is tried again
        again = connection.next.before(connection.highest)
        if again:
            host.retransmitted += 1
        connection.next = connection.next.plus(count + u32(fin))
        if connection.next.after(connection.highest):
            connection.highest = connection.next
            if not connection.timing and not again:
                connection.timing = True
                connection.timed = connection.next
                connection.timed_at = now
        if connection.retransmit_at == NEVER:
            due_again(host, connection, now)
    if connection.next == connection.unacknowledged and connection.retransmit_at == NEVER:
        due_again(host, connection, now)  # the window is closed: probe it; or the device had no room


def emit(
    host: Host, connection: Connection, flags: u8, sequence: Sequence, offset: u32, count: u32, now: u64
) -> bool:  # fmt: skip
    """Send one segment with `count` bytes from `offset` of what is unacknowledged. A bare acknowledgment tells what is
    held (RFC 2018). False if the device had no room for it, and then nothing has been sent.
    """
    start: u64 = segment.HEADER
    output = host.output()
    if connection.stamped:
        connection.told = connection.expected
        segment.write_stamps(output, start, stamp_of(host, connection, now), connection.recent)
        start += segment.STAMPS_LENGTH
    if count == 0 and connection.held_count != 0 and connection.selective:
        blocks = min(u64(connection.held_count), u64(STAMPED_BLOCKS) if connection.stamped else u64(RANGES))
        output[start] = segment.NOTHING
        output[start + 1] = segment.NOTHING
        output[start + 2] = segment.SELECTIVE
        output[start + 3] = u8(2 + segment.BLOCK * blocks)
        start += segment.BLOCKS_HEADER
        for i in range(blocks):
            block = view(segment.Block, output, start)
            block.start = connection.held[i].start.raw
            block.end = connection.held[i].end.raw
            start += segment.BLOCK
    if count != 0:
        buffer = buffer_of(host, connection.send_buffer)
        at = u64(connection.send_start) + offset
        if at >= len(buffer):
            at -= len(buffer)
        first = min(u64(count), len(buffer) - at)
        output[start : start + first].copy_from(buffer[at : at + first])
        output[start + first : start + count].copy_from(buffer[: count - first])
        connection.sent_at = now
    window = min(connection.edge.since(connection.expected) >> connection.receive_scale, 0xFFFF)
    ports = (u32(connection.local_port) << 16) | connection.port
    segment.write(
        output[: start + count], ports, sequence, connection.expected, start, flags, u16(window), host.address,
        connection.address,
    )  # fmt: skip
    if not host.transmit(connection.address, connection.station, start + count, now):
        return False
    connection.must_acknowledge = False
    connection.acknowledge_now = False
    connection.unanswered = 0
    if not connection.wants_room:
        connection.acknowledge_at = NEVER
    return True


@inline
def stamp_of(host: Host, connection: Connection, now: u64) -> u32:
    """Our clock, as the peer is to see it."""
    return u32(now >> host.stamp_shift) + connection.stamp_offset


def send_syn(host: Host, connection: Connection, now: u64) -> None:
    """Send the first segment (again): a SYN, which acknowledges the peer's if that has come."""
    flags: u8 = Flag.SYN
    if connection.state == State.SYN_RECEIVED:
        flags |= Flag.ACK
    output = host.output()
    options = segment.write_syn_options(
        output[segment.HEADER :],
        LARGEST,
        connection.receive_scale if connection.scaled else u8(segment.NO_SCALE),
        connection.selective,
    )
    window = u16(min(host.buffer_size, 0xFFFF))  # never scaled (RFC 7323 section 2.2)
    end = segment.HEADER + options
    if connection.stamped:
        segment.write_stamps(output, end, stamp_of(host, connection, now), connection.recent)
        end += segment.STAMPS_LENGTH
    acknowledgment = connection.expected if flags & Flag.ACK else Sequence(0)
    ports = (u32(connection.local_port) << 16) | connection.port
    segment.write(
        output[:end], ports, connection.unacknowledged, acknowledgment, end, flags, window, host.address,
        connection.address,
    )  # fmt: skip
    host.transmit(connection.address, connection.station, end, now)
    if connection.retransmit_at == NEVER:
        connection.timing = connection.attempts == 0  # Karn: only what was sent once is measured
        connection.timed = connection.highest
        connection.timed_at = now
        due_again(host, connection, now)
    else:
        connection.timing = False


def emit_bare(
    host: Host, connection: Connection, flags: u8, sequence: Sequence, acknowledgment: Sequence, now: u64
) -> None:
    """A segment that tells nothing of the connection's state: a reset to an acknowledgment that makes no sense."""
    ports = (u32(connection.local_port) << 16) | connection.port
    address = connection.address
    segment.write(
        host.output()[: segment.HEADER],
        ports,
        sequence,
        acknowledgment,
        segment.HEADER,
        flags,
        0,
        host.address,
        address,
    )
    host.transmit(address, connection.station, segment.HEADER, now)


def refuse(host: Host, station: u64, source: u32, packet: Span[u8], arrival: Arrival, now: u64) -> None:
    """The reset that answers a segment of no connection (RFC 9293 section 3.10.7.1)."""
    header = view(segment.Header, packet)
    ports = (u32(header.destination_port) << 16) | header.source_port
    sequence = Sequence(0)
    acknowledgment = Sequence(0)
    flags: u8 = Flag.RST
    if arrival.flags & Flag.ACK:
        sequence = arrival.acknowledgment
    else:
        flags |= Flag.ACK
        length = u32(arrival.end - arrival.start) + u32(arrival.flags & Flag.SYN != 0)
        acknowledgment = arrival.sequence.plus(length + u32(arrival.flags & Flag.FIN != 0))
    segment.write(
        host.output()[: segment.HEADER], ports, sequence, acknowledgment, segment.HEADER, flags, 0, host.address, source
    )
    host.transmit(source, station, segment.HEADER, now)


def challenge(host: Host, connection: Connection, now: u64) -> None:
    """RFC 5961: who might be pretending is told where we are, which only the real peer understands; rarely."""
    if now >= connection.challenge_at:
        connection.challenge_at = now + host.second // CHALLENGE
        connection.must_acknowledge = True
        connection.acknowledge_now = True


# ---- opening


def initial_sequence(host: Host, address: u32, port: u16, local_port: u16, now: u64) -> Sequence:
    """RFC 6528: a clock of four microseconds, and an offset that nobody else can know."""
    name = (u64(address) << 32) | (u64(port) << 16) | local_port
    clock = now // max(host.second // 250_000, 1)
    return Sequence(u32(clock + siphash.of_words(host.key0, host.key1, name, 0)))


def begin(host: Host, connection: Connection, sequence: Sequence) -> None:
    """Our SYN has this number."""
    connection.unacknowledged = sequence
    connection.next = sequence.plus(1)
    connection.highest = sequence.plus(1)
    connection.recover = sequence
    connection.hole = sequence
    connection.expected = Sequence(0)
    connection.edge = Sequence(0)
    connection.told = Sequence(0)
    connection.recent = 0
    connection.stamp_offset = sequence.raw * 0x9E37_79B1  # nothing of the one tells the other
    connection.segment_size = DEFAULT_LARGEST


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
    connection.congestion = INITIAL_SEGMENTS * connection.segment_size
    connection.threshold = 1 << 30
    window = host.buffer_size
    connection.edge = expected.plus(min(window, 0xFFFF))


def scale_for(host: Host) -> u8:
    """The least scale with which a whole buffer can be told."""
    scale: u8 = 0
    while host.buffer_size >> scale > 0xFFFF:
        scale += 1
    return scale


LARGEST_OF_COOKIE = (DEFAULT_LARGEST, 1220, 1440, LARGEST)


def cookie(host: Host, address: u32, ports: u32, sequence: Sequence, period: u64, index: u32) -> Sequence:
    """A SYN's answer that needs no memory: what the peer has to bring back says when it was made and which of four
    segment sizes was agreed, and 25 bits of it cannot be guessed.
    """
    name = (u64(address) << 32) | ports
    rest = (u64(sequence.raw) << 32) | (period << 2) | index
    value = u32(siphash.of_words(host.key1, host.key0, name, rest)) >> 7
    return Sequence((u32(period & 31) << 27) | (index << 25) | value)


def send_cookie(
    host: Host, station: u64, source: u32, packet: Span[u8], arrival: Arrival, largest: u16, now: u64
) -> None:
    """Too many connections are half open: answer without keeping anything. Scale and selective acknowledgments are
    lost on this connection.
    """
    host.cookies += 1
    host.cookies_until = now + 2 * COOKIE_PERIOD * host.second
    header = view(segment.Header, packet)
    ours = (u32(header.destination_port) << 16) | header.source_port
    sequence = cookie_for(host, source, packet, arrival, largest, now)
    output = host.output()
    end = segment.HEADER + segment.write_syn_options(
        output[segment.HEADER :], LARGEST, segment.NO_SCALE, selective=False
    )
    window = u16(min(host.buffer_size, 0xFFFF))
    segment.write(
        output[:end], ours, sequence, arrival.sequence.plus(1), end, Flag.SYN | Flag.ACK, window, host.address,
        source,
    )  # fmt: skip
    host.transmit(source, station, end, now)


def cookie_for(host: Host, source: u32, packet: Span[u8], arrival: Arrival, largest: u16, now: u64) -> Sequence:
    """The cookie for the SYN in `packet`."""
    header = view(segment.Header, packet)
    index: u32 = 0
    if largest >= LARGEST:
        index = 3
    elif largest >= 1440:
        index = 2
    elif largest >= 1220:
        index = 1
    period = now // (COOKIE_PERIOD * host.second)
    theirs = (u32(header.source_port) << 16) | header.destination_port
    return cookie(host, source, theirs, arrival.sequence, period, index)


def check_cookie(host: Host, source: u32, port: u16, local_port: u16, arrival: Arrival, now: u64) -> u16:
    """The segment size that a cookie brings back; 0 if it is none of ours or too old."""
    value = arrival.acknowledgment.minus(1)
    period = now // (COOKIE_PERIOD * host.second)
    age = (period - (value.raw >> 27)) & 31
    if age > 1 or age > period:
        return 0
    index = value.raw >> 25 & 3
    ports = (u32(port) << 16) | local_port
    if cookie(host, source, ports, arrival.sequence.minus(1), period - age, index) != value:
        return 0
    if index == 0:
        return LARGEST_OF_COOKIE[0]
    if index == 1:
        return LARGEST_OF_COOKIE[1]
    return LARGEST_OF_COOKIE[2] if index == 2 else LARGEST_OF_COOKIE[3]


# ---- time


def due(host: Host, connection: Connection, when: u64) -> None:
    """An acknowledgment, or another try to write, is due."""
    connection.acknowledge_at = min(connection.acknowledge_at, when)
    host.next_deadline = min(host.next_deadline, when)


def due_again(host: Host, connection: Connection, now: u64) -> None:
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


def wait_out(host: Host, connection: Connection, now: u64) -> None:
    """To TIME-WAIT, where only the peer's last FIN is answered again."""
    connection.state = State.TIME_WAIT
    connection.retransmit_at = NEVER
    connection.idle_at = now + TIME_WAIT * host.second
    host.next_deadline = min(host.next_deadline, connection.idle_at)


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


def retransmit(host: Host, connection: Connection, now: u64) -> None:
    """Nothing was heard of what was sent (RFC 6298 section 5), or the peer's window is closed."""
    opening = connection.state < State.ESTABLISHED
    if connection.attempts >= (SYN_ATTEMPTS if opening else ATTEMPTS):
        lose(host, connection)
        return
    connection.attempts += 1
    connection.timeout = min(2 * connection.timeout, LONGEST_TIMEOUT * host.second)
    connection.retransmit_at = NEVER
    connection.timing = False
    if opening:
        host.retransmitted += 1
        send_syn(host, connection, now)
        return
    size = connection.segment_size
    if connection.window < min(connection.send_length, size):
        # RFC 9293 section 3.8.6.1: one byte, whose acknowledgment tells the window; or what little there is room for
        count = max(min(connection.window, size, connection.send_length), 1)
        emit(host, connection, Flag.ACK, connection.unacknowledged, 0, count, now)
        connection.next = connection.unacknowledged.plus(min(count, connection.window))
        if connection.highest == connection.unacknowledged:
            connection.highest = connection.unacknowledged.plus(count)
        due_again(host, connection, now)
        return
    flight = connection.highest.since(connection.unacknowledged)
    if connection.attempts == 1:
        connection.threshold = max(flight // 2, 2 * size)
    connection.congestion = size
    connection.recover = connection.highest
    connection.recovering = False
    connection.duplicates = 0
    connection.sacked_count = 0  # RFC 2018 section 8: the peer may have forgotten it
    connection.next = connection.unacknowledged
    push(host, connection, now)


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
        if connection.state >= State.ESTABLISHED:
            connection.probes += 1
            emit(host, connection, Flag.ACK, connection.unacknowledged.minus(1), 0, 0, now)
    watch(host, connection, now)
