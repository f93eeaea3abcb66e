# SPDX-License-Identifier: MIT
"""TCP on the machine's network interface: `network` for streams of bytes. Start it after the network, with memory of
the application's; then listen and connect, and let `network.serve_forever` call the handlers. See `tcp` for what a
connection is and what its handler hears.
"""

from collections.abc import Callable

from exokernel.exos.net import interface, ipv4, network, tcp
from exokernel.exos.net.tcp import Connection
from exokernel.machine import cpu
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Ptr, Span, u8, u16, u32, u64, view

host: tcp.Host = tcp.new()


def start(connections: Span[Connection], buffers: Span[u8], buffer_size: u32) -> None:
    """Speak TCP from now on, with that table and memory, as `tcp.prepare` says. The network must have been started."""
    card = network.card
    host.address = card.address
    host.second = card.second
    host.key0 = cpu.random()
    host.key1 = cpu.random()
    host.last_port = u16(tcp.EPHEMERAL + (cpu.random() & 0x3FFF))  # RFC 6056: where they begin cannot be guessed
    host.output = output
    host.transmit = transmit
    tcp.prepare(host, connections, buffers, buffer_size)
    card.segment = receive
    card.timer = tick


def output() -> Span[u8]:
    """Where the next packet's payload is built: elsewhere after each frame that the device reads in its place."""
    return network.card.output[interface.PAYLOAD :]


def transmit(address: u32, station: u64, length: u64, now: u64) -> bool:
    return interface.send_ipv4(network.card, address, station, ipv4.TCP, length, now)


def receive(station: u64, packet: Span[u8], now: u64) -> u8:
    header = view(ipv4.Header, packet)
    reason = tcp.receive(host, station, header.source, packet[header.length() :], now)
    remember()
    return reason


def tick(now: u64) -> u64:
    tcp.tick(host, now)
    return host.next_deadline


def remember() -> None:
    """The interface is to wake TCP in time."""
    network.card.next_deadline = min(network.card.next_deadline, host.next_deadline)


def listen(port: u16, handler: Callable[[Connection, u8], None]) -> bool:
    """See `tcp.listen`."""
    return tcp.listen(host, port, handler)


def connect(address: u32, port: u16, handler: Callable[[Connection, u8], None]) -> Ptr[Connection]:
    """See `tcp.connect`."""
    connection = tcp.connect(host, address, port, interface.ASK, handler, read_timestamp())
    remember()
    return connection


def arrived(connection: Connection) -> Span[u8]:
    """See `tcp.arrived`."""
    return tcp.arrived(connection)


def consume(connection: Connection, count: u64) -> None:
    """See `tcp.consume`."""
    tcp.consume(host, connection, count, read_timestamp())
    remember()


def read(connection: Connection, buffer: Span[u8]) -> u64:
    """See `tcp.read`."""
    count = tcp.read(host, connection, buffer, read_timestamp())
    remember()
    return count


def room(connection: Connection) -> u64:
    """See `tcp.room`."""
    return tcp.room(host, connection)


def want_room(connection: Connection) -> None:
    """See `tcp.want_room`."""
    tcp.want_room(host, connection, read_timestamp())
    remember()


def write(connection: Connection, data: bytes) -> u64:
    """See `tcp.write`."""
    count = tcp.write(host, connection, data, read_timestamp())
    remember()
    return count


def finish(connection: Connection) -> None:
    """See `tcp.finish`."""
    tcp.finish(host, connection, read_timestamp())
    remember()


def close(connection: Connection) -> None:
    """See `tcp.close`."""
    tcp.close(host, connection, read_timestamp())
    remember()


def abort(connection: Connection) -> None:
    """See `tcp.abort`."""
    tcp.abort(host, connection, read_timestamp())


def set_keep_alive(connection: Connection, seconds: u32) -> None:
    """See `tcp.set_keep_alive`."""
    tcp.set_keep_alive(host, connection, seconds, read_timestamp())
    remember()


def set_patience(connection: Connection, seconds: u32) -> None:
    """See `tcp.set_patience`."""
    tcp.set_patience(host, connection, seconds, read_timestamp())
    remember()
