# SPDX-License-Identifier: MIT
"""Two whole hosts of the library with TCP, in the dialect, for tests that are the network between them: `left` listens
on port 80 and `right` connects. Each connection carries a stream of known bytes both ways at once, of lengths that the
test says; whoever has written its stream finishes, whoever has read the other's end closes. Frames that leave a host
are kept until the test takes them; the clock, in microseconds, is the test's.
"""

from exokernel.exos.net import arp, interface, ipv4, tcp
from exokernel.exos.net.tcp import Connection, Event
from exokernel.metal import Array, Span, u8, u16, u32, u64, view

FRAMES = 512
SECOND = 1_000_000
ROWS = 64
BUFFERS = 64
LARGEST_BUFFER = 65536
PORT = 80

left: interface.Interface = interface.new()
right: interface.Interface = interface.new()
left_output: Array[u8, 1514] = Array[u8, 1514]()
right_output: Array[u8, 1514] = Array[u8, 1514]()
left_neighbours: Array[arp.Neighbour, 4] = Array[arp.Neighbour, 4]()
right_neighbours: Array[arp.Neighbour, 4] = Array[arp.Neighbour, 4]()
left_tcp: tcp.Host = tcp.new()
right_tcp: tcp.Host = tcp.new()
left_rows: Array[Connection, ROWS] = Array[Connection, ROWS]([tcp.new_connection() for _ in range(ROWS)])
right_rows: Array[Connection, ROWS] = Array[Connection, ROWS]([tcp.new_connection() for _ in range(ROWS)])
left_buffers: Array[u8, BUFFERS * LARGEST_BUFFER] = Array[u8, BUFFERS * LARGEST_BUFFER]()
right_buffers: Array[u8, BUFFERS * LARGEST_BUFFER] = Array[u8, BUFFERS * LARGEST_BUFFER]()

lengths: Array[u64, FRAMES] = Array[u64, FRAMES]()
froms: Array[u8, FRAMES] = Array[u8, FRAMES]()
frames: Array[Array[u8, 1514], FRAMES] = Array[Array[u8, 1514], FRAMES]()
offered: u64 = 0
refused: u64 = 0  # each frame of that number finds the device without room; 0: none
first: u64 = 0
count: u64 = 0
clock: u64 = 0

# Of each row, left's and then right's: how far its streams are.
written: Array[u64, 2 * ROWS] = Array[u64, 2 * ROWS]()
got: Array[u64, 2 * ROWS] = Array[u64, 2 * ROWS]()
left_length: u64 = 0  # what each of left's streams has
right_length: u64 = 0
appetite: u64 = 0  # bytes read at once; 0: all
wrong: u64 = 0  # bytes that were not what they should be
ended: u64 = 0  # streams read to their end, at both hosts
short: u64 = 0  # of these, with the wrong length
lost: u64 = 0
scratch: Array[u8, 4096] = Array[u8, 4096]()


def keep(frame: Span[u8], side: u8) -> bool:
    global count, offered
    offered += 1
    if count - first == FRAMES or (refused != 0 and offered % refused == 0):
        return False
    row = count % FRAMES
    frames[row][: len(frame)].copy_from(frame)
    lengths[row] = len(frame)
    froms[row] = side
    count += 1
    return True


def transmit_left(frame: Span[u8]) -> bool:
    return keep(frame, 0)


def transmit_right(frame: Span[u8]) -> bool:
    return keep(frame, 1)


def place_left() -> Span[u8]:
    return left.output[interface.PAYLOAD :]


def place_right() -> Span[u8]:
    return right.output[interface.PAYLOAD :]


def send_left(address: u32, station: u64, length: u64, now: u64) -> bool:
    return interface.send_ipv4(left, address, station, ipv4.TCP, length, now)


def send_right(address: u32, station: u64, length: u64, now: u64) -> bool:
    return interface.send_ipv4(right, address, station, ipv4.TCP, length, now)


def segment_left(station: u64, packet: Span[u8], now: u64) -> u8:
    header = view(ipv4.Header, packet)
    reason = tcp.receive(left_tcp, station, header.source, packet[header.length() :], now)
    left.next_deadline = min(left.next_deadline, left_tcp.next_deadline)
    return reason


def segment_right(station: u64, packet: Span[u8], now: u64) -> u8:
    header = view(ipv4.Header, packet)
    reason = tcp.receive(right_tcp, station, header.source, packet[header.length() :], now)
    right.next_deadline = min(right.next_deadline, right_tcp.next_deadline)
    return reason


def timer_left(now: u64) -> u64:
    tcp.tick(left_tcp, now)
    return left_tcp.next_deadline


def timer_right(now: u64) -> u64:
    tcp.tick(right_tcp, now)
    return right_tcp.next_deadline


def byte_at(place: u64, side: u64) -> u8:
    return u8((place * 7 + (place >> 8) * 13 + side * 101) & 0xFF)


def feed(host: tcp.Host, connection: Connection, side: u64) -> None:
    """Write on, as far as there is room, and finish."""
    row = side * ROWS + connection.number
    total = left_length if side == 0 else right_length
    while written[row] < total:
        piece = min(total - written[row], len(scratch))
        for i in range(piece):
            scratch[i] = byte_at(written[row] + i, side)
        taken = tcp.write(host, connection, scratch[:piece], clock)
        written[row] += taken
        if taken < piece:
            return
    tcp.finish(host, connection, clock)


def eat(host: tcp.Host, connection: Connection, side: u64) -> None:
    row = side * ROWS + connection.number
    global wrong
    data = tcp.arrived(connection)
    if appetite != 0:
        data = data[: min(appetite, len(data))]
    for i in range(len(data)):
        if data[i] != byte_at(got[row] + i, 1 - side):
            wrong += 1
    got[row] += len(data)
    tcp.consume(host, connection, len(data), clock)


def serve(host: tcp.Host, connection: Connection, event: u8, side: u64) -> None:
    global ended, short, lost
    row = side * ROWS + connection.number
    if event == Event.OPENED:
        written[row] = 0
        got[row] = 0
        feed(host, connection, side)
    elif event == Event.READABLE:
        eat(host, connection, side)
    elif event == Event.WRITABLE:
        feed(host, connection, side)
    elif event == Event.END:
        while len(tcp.arrived(connection)) != 0:
            eat(host, connection, side)
        ended += 1
        if got[row] != (right_length if side == 0 else left_length):
            short += 1
    else:
        lost += 1


def serve_left(connection: Connection, event: u8) -> None:
    serve(left_tcp, connection, event, 0)


def serve_right(connection: Connection, event: u8) -> None:
    serve(right_tcp, connection, event, 1)


def eat_on() -> u64:
    """Everybody reads what has been left lying; how many connections had something."""
    busy: u64 = 0
    for connection in left_rows:
        if connection.state != tcp.State.CLOSED and connection.arrived_length != 0:
            eat(left_tcp, connection, 0)
            busy += 1
    for connection in right_rows:
        if connection.state != tcp.State.CLOSED and connection.arrived_length != 0:
            eat(right_tcp, connection, 1)
            busy += 1
    left.next_deadline = min(left.next_deadline, left_tcp.next_deadline)
    right.next_deadline = min(right.next_deadline, right_tcp.next_deadline)
    return busy


def reset(to_right: u64, to_left: u64, buffer: u32, pieces: u64, rows: u64, bite: u64) -> None:
    """Two hosts that have seen nothing yet."""
    global clock, first, count, refused, left_length, right_length, wrong, ended, short, lost, appetite
    refused = 0
    clock = SECOND
    first = 0
    count = 0
    left_length = to_right
    right_length = to_left
    appetite = bite
    wrong = 0
    ended = 0
    short = 0
    lost = 0
    for neighbour in left_neighbours:
        neighbour.state = arp.FREE
        neighbour.waiting_length = 0
    for neighbour in right_neighbours:
        neighbour.state = arp.FREE
        neighbour.waiting_length = 0
    prepare(left, left_tcp, 0x5254_0012_3456, 0x0A00_0002)
    prepare(right, right_tcp, 0x0200_0000_00AA, 0x0A00_0001)
    left.neighbours = left_neighbours
    right.neighbours = right_neighbours
    left.transmit = transmit_left
    right.transmit = transmit_right
    left.segment = segment_left
    right.segment = segment_right
    left.timer = timer_left
    right.timer = timer_right
    left.output = left_output
    right.output = right_output
    left_tcp.output = place_left
    right_tcp.output = place_right
    left_tcp.transmit = send_left
    right_tcp.transmit = send_right
    tcp.unlisten(left_tcp, PORT)
    tcp.prepare(left_tcp, left_rows[:rows], left_buffers[: pieces * buffer], buffer)
    tcp.prepare(right_tcp, right_rows[:rows], right_buffers[: pieces * buffer], buffer)
    tcp.listen(left_tcp, PORT, serve_left)


def prepare(host: interface.Interface, streams: tcp.Host, station: u64, address: u32) -> None:
    host.station = station
    host.address = address
    host.mask = 0xFFFF_FF00
    host.gateway = 0
    host.second = SECOND
    host.next_deadline = interface.NEVER
    streams.address = address
    streams.second = SECOND
    streams.key0 = station * 0x9E37_79B9_7F4A_7C15
    streams.key1 = station * 0xC2B2_AE3D_27D4_EB4F
    streams.last_port = 0
    streams.opened = 0
    streams.retransmitted = 0
    streams.lost = 0
    streams.cookies = 0


def refuse(each: u64) -> None:
    """Every `each`-th frame finds the device without room."""
    global refused
    refused = each


def connect() -> bool:
    """`right` opens one more connection."""
    connection = tcp.connect(right_tcp, 0x0A00_0002, PORT, interface.ASK, serve_right, clock)
    right.next_deadline = min(right.next_deadline, right_tcp.next_deadline)
    return u64(connection) != 0


def inject(side: u8, frame: Span[u8], now: u64) -> None:
    """A frame arrives at a host: 0 is left."""
    global clock
    clock = now
    interface.receive(left if side == 0 else right, frame, now)


def tick(now: u64) -> u64:
    """Time has come to `now`; when the next thing is due."""
    global clock
    clock = now
    if now >= left.next_deadline:
        interface.tick(left, now)
    if now >= right.next_deadline:
        interface.tick(right, now)
    return min(left.next_deadline, right.next_deadline)


def deadline() -> u64:
    return min(left.next_deadline, right.next_deadline)


def sent(buffer: Span[u8]) -> tuple[u64, u8]:
    """Take the oldest frame that was sent: its length, 0 if there is none, and from whom."""
    global first
    if first == count:
        return 0, 0
    row = first % FRAMES
    buffer[: lengths[row]].copy_from(frames[row][: lengths[row]])
    first += 1
    return lengths[row], froms[row]


def results() -> tuple[u64, u64, u64, u64]:
    """Wrong bytes, streams read to their end, wrong lengths among them, connections lost."""
    return wrong, ended, short, lost


def counts(side: u64) -> tuple[u64, u64, u64, u64]:
    """Opened, retransmitted segments, free rows, free buffers."""
    host = left_tcp if side == 0 else right_tcp
    free: u64 = 0
    row = host.free_row
    while row != tcp.NONE:
        free += 1
        row = host.connections[row].chain
    pieces: u64 = 0
    piece = host.free_buffer
    while piece != tcp.NONE:
        pieces += 1
        buffer = tcp.buffer_of(host, piece)
        piece = u16(buffer[0]) | (u16(buffer[1]) << 8)
    return host.opened, host.retransmitted, free, pieces
