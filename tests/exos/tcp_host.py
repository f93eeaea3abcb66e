# SPDX-License-Identifier: MIT
"""One TCP of the library without a network, in the dialect, for packet scripts: it is 192.168.0.1, its peer 192.0.2.1,
its clock counts microseconds. What it sends is kept until it is read; what its handler hears is remembered in order.
"""

from exokernel.exos.net import tcp
from exokernel.exos.net.tcp import Connection, Host
from exokernel.metal import Array, Ptr, Span, addr, u8, u16, u32, u64

HERE = 0xC0A8_0001
PEER = 0xC000_0201
SECOND = 1_000_000
ROWS = 8
BUFFER = 65536
SEGMENTS = 256
EVENTS = 64

host: Host = tcp.new()
rows: Array[Connection, ROWS] = Array[Connection, ROWS]([tcp.new_connection() for _ in range(ROWS)])
buffers: Array[u8, 16 * BUFFER] = Array[u8, 16 * BUFFER]()
output: Array[u8, 1600] = Array[u8, 1600]()
lengths: Array[u64, SEGMENTS] = Array[u64, SEGMENTS]()
segments: Array[Array[u8, 1600], SEGMENTS] = Array[Array[u8, 1600], SEGMENTS]()
first: u64 = 0
count: u64 = 0
events: Array[u8, EVENTS] = Array[u8, EVENTS]()
event_count: u64 = 0
current: Ptr[Connection] = Ptr[Connection](0)
eager: bool = False  # consume at once
refused: u32 = 0  # segments that the device has no room for


def place() -> Span[u8]:
    return output[:]


def transmit(address: u32, station: u64, length: u64, now: u64) -> bool:
    global count, refused
    if refused != 0:
        refused -= 1
        return False
    if count - first == SEGMENTS:
        return False
    segments[count % SEGMENTS][:length].copy_from(output[:length])
    lengths[count % SEGMENTS] = length
    count += 1
    return True


def hear(connection: Connection, event: u8) -> None:
    global current, event_count
    if event_count < EVENTS:
        events[event_count] = event
        event_count += 1
    if event == tcp.Event.OPENED:
        current = Ptr[Connection](u64(addr(connection)))
    if event == tcp.Event.LOST:
        current = Ptr[Connection](0)
    if event == tcp.Event.READABLE and eager:
        tcp.consume(host, connection, len(tcp.arrived(connection)), 0)


def reset(buffer: u32, pieces: u64, rows_used: u64, consume_at_once: bool) -> None:
    """A TCP that has seen nothing, with buffers of `buffer` bytes."""
    global first, count, event_count, current, eager, refused
    refused = 0
    first = 0
    count = 0
    event_count = 0
    current = Ptr[Connection](0)
    eager = consume_at_once
    host.address = HERE
    host.second = SECOND
    host.key0 = 0x0706050403020100
    host.key1 = 0x0F0E0D0C0B0A0908
    host.output = place
    host.transmit = transmit
    host.last_port = 0
    host.opened = 0
    host.retransmitted = 0
    host.lost = 0
    host.cookies = 0
    tcp.unlisten(host, 8080)
    tcp.prepare(host, rows[:rows_used], buffers[: pieces * buffer], buffer)


def listen() -> bool:
    return tcp.listen(host, 8080, hear)


def connect(now: u64) -> bool:
    global current
    current = tcp.connect_from(host, 8080, PEER, 9000, 1, hear, now)
    return u64(current) != 0


def arrive(packet: Span[u8], now: u64) -> u8:
    return tcp.receive(host, 1, PEER, packet, now)


def tick(now: u64) -> u64:
    tcp.tick(host, now)
    return host.next_deadline


def deadline() -> u64:
    return host.next_deadline


def sent(buffer: Span[u8]) -> u64:
    """Take the oldest segment that was sent; its length, 0 if there is none."""
    global first
    if first == count:
        return 0
    length = lengths[first % SEGMENTS]
    buffer[:length].copy_from(segments[first % SEGMENTS][:length])
    first += 1
    return length


def event() -> u64:
    """Take the oldest event; 255 if there is none."""
    global event_count
    if event_count == 0:
        return 255
    result = events[0]
    for i in range(1, event_count):
        events[i - 1] = events[i]
    event_count -= 1
    return result


def write(data: Span[u8], now: u64) -> u64:
    return tcp.write(host, current[0], data, now)


def read(buffer: Span[u8], now: u64) -> u64:
    return tcp.read(host, current[0], buffer, now)


def close(now: u64) -> None:
    tcp.close(host, current[0], now)


def finish(now: u64) -> None:
    tcp.finish(host, current[0], now)


def abort(now: u64) -> None:
    tcp.abort(host, current[0], now)


def option(which: u64, value: u32, now: u64) -> None:
    """0: no_delay; 1: keep-alive; 2: patience; 3: so many segments will be refused."""
    global refused
    if which == 3:
        refused = value
        return
    if which == 0:
        current[0].no_delay = value != 0
    elif which == 1:
        tcp.set_keep_alive(host, current[0], value, now)
    else:
        tcp.set_patience(host, current[0], value, now)


def state(port: u16) -> u8:
    """Of the connection with the peer's `port`; 255 if there is none."""
    row = tcp.find(host, PEER, port, 8080)
    return 255 if row == tcp.NONE else host.connections[row].state


def window_of_congestion() -> u32:
    return current[0].congestion


def books() -> tuple[u64, u64, u64, u64]:
    """Free rows, free buffers, half open ones, cookies sent."""
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
    return free, pieces, u64(host.half_open), host.cookies
