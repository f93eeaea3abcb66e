# SPDX-License-Identifier: MIT
"""All of the network at once, as a target: pages on TCP port 80, an echo on TCP and UDP port 7, fragments joined. Each echo
connection has a block of the heap as long as it lives. UDP port 8 tells what is free or taken, when nothing else does.

TCP's second is a FASTER-th of one here, so that whatever has to time out does so within a test. Only the two honest
connections are never given up, or a computer that is busy with something else would end them.
"""

from exokernel.exos import aegis, blocks, heap
from exokernel.exos.net import arp, fragments, http, network, pages, streams, tcp
from exokernel.exos.net.http import Request
from exokernel.exos.net.interface import Peer
from exokernel.exos.net.tcp import Connection, Event
from exokernel.metal import Array, Ptr, Span, format_into, u8, u16, u32, u64

CONNECTIONS = 256
BUFFER = 16384
BUFFERS = 64
FASTER = 16
BLOCK = 300
HONEST = 0x0A00_0001  # the address, and below these ports
HONEST_PORTS = 1002
ENDED = 1  # in Connection.user, beside the block's address: the peer sends no more

connections: Array[Connection, CONNECTIONS] = Array[Connection, CONNECTIONS](
    [tcp.new_connection() for _ in range(CONNECTIONS)]
)
buffers: Array[u8, BUFFERS * BUFFER] = Array[u8, BUFFERS * BUFFER]()
datagrams: Array[fragments.Datagram, 4] = Array[fragments.Datagram, 4]()


def answer(request: Request, target: bytes, page: Span[u8]) -> u64:
    request.kind = http.Kind.TEXT
    if target != b"/":
        request.status = http.Status.NOT_FOUND
    return format_into(page, "still here\n")


def is_honest(connection: Connection) -> bool:
    return connection.address == HONEST and connection.port < HONEST_PORTS


def serve(connection: Connection, event: u8) -> None:
    pages.serve(connection, event)
    if event == Event.OPENED and is_honest(connection):
        streams.set_patience(connection, 0)


def echo(connection: Connection, event: u8) -> None:
    """What comes goes back, at the pace at which the peer takes it."""
    if event == Event.OPENED:
        streams.set_patience(connection, u32(0) if is_honest(connection) else u32(30))
        connection.user = u64(heap.allocate(BLOCK))
        if connection.user == 0:
            streams.abort(connection)
        return
    if event == Event.LOST:
        release(connection)
        return
    if event == Event.END:
        connection.user |= ENDED
    streams.consume(connection, streams.write(connection, streams.arrived(connection)))
    if connection.user & ENDED and len(streams.arrived(connection)) == 0:
        release(connection)
        streams.close(connection)


def release(connection: Connection) -> None:
    heap.release(Ptr[u8](connection.user & ~ENDED))


def echo_datagram(sender: Peer, data: Span[u8]) -> None:
    if sender.port > 8:
        network.send(sender, data)


def tell(sender: Peer, data: Span[u8]) -> None:
    """Free frames of the machine, the heap's blocks, TCP's rows and buffers that are free, its half-open connections,
    neighbours that are asked for; frames that the device has received, those that found the ring full; connections that
    were opened, SYNs that were answered with a cookie.
    """
    pieces: u64 = 0
    for each in heap.books.pages:
        pieces += u64(each.taken) if each.kind != blocks.FREE else 0
    rows: u64 = 0
    for connection in connections:
        rows += u64(connection.state == tcp.State.CLOSED)
    free: u64 = 0
    number = streams.host.free_buffer
    while number != tcp.NONE:
        free += 1
        start = u64(number) * BUFFER
        number = u16(buffers[start]) | (u16(buffers[start + 1]) << 8)
    asked: u64 = 0
    for neighbour in network.card.neighbours:
        asked += u64(neighbour.state == arp.ASKED)
    text = Array[u8, 160]()
    system = aegis.system_page()
    length = format_into(
        text,
        f"{system.frames_free} {pieces} {rows} {free} {streams.host.half_open} {asked} "
        f"{system.network.received + system.network.malformed} {system.network.ring_full} "
        f"{streams.host.opened} {streams.host.cookies}",
    )
    network.send(sender, text[:length])


def warm_up() -> None:
    """The heap keeps the frames that it has once had: let it have all that it will ever need."""
    taken = Array[u64, CONNECTIONS]()
    for i in range(CONNECTIONS):
        taken[i] = u64(heap.allocate(BLOCK))
    for block in taken:
        heap.release(Ptr[u8](block))


def main() -> None:
    warm_up()
    network.start()
    network.card.fragments = datagrams
    streams.start(connections, buffers, BUFFER)
    streams.host.second = network.card.second // FASTER
    pages.server.answer = answer
    streams.listen(80, serve)
    streams.listen(7, echo)
    network.bind(7, echo_datagram)
    network.bind(8, tell)
    print("ready")
    network.serve_forever()
