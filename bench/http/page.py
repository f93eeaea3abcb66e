# SPDX-License-Identifier: MIT
"""A server of one page of 1,024 bytes. On port 81 it tells the time-stamp counter and how often its loop found nothing to do;
it never sleeps unless it is built to, so that the counter, under `-icount shift=0`, counts what it does. On port 82 it sends
BULK bytes to whoever connects, on port 83 it swallows what comes. `/memory` says how many connections are open, and how
many bytes the machine has given away.
"""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.exos.net import http, network, pages, streams, tcp
from exokernel.exos.net.http import Request
from exokernel.exos.net.tcp import Connection, Event
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Span, format_into, u8, u64

CONNECTIONS = 1024
BUFFER = 16384
BUFFERS = 32
PAGE = 1024
BULK = 4 << 20
SLEEPS = 0

connections: Array[Connection, CONNECTIONS] = Array[Connection, CONNECTIONS](
    [tcp.new_connection() for _ in range(CONNECTIONS)]
)
buffers: Array[u8, BUFFERS * BUFFER] = Array[u8, BUFFERS * BUFFER]()
content: Array[u8, PAGE] = Array[u8, PAGE](bytes(97 + i % 26 for i in range(PAGE)))
turns: u64 = 0


def answer(request: Request, target: bytes, page: Span[u8]) -> u64:
    request.kind = http.Kind.TEXT
    if target == b"/memory":
        system = aegis.system_page()
        count: u64 = 0
        for connection in connections:
            count += u64(connection.state == tcp.State.ESTABLISHED)
        return format_into(page, f"{count} {(system.frames - system.frames_free) * abi.PAGE_BYTES}\n")
    page[:PAGE].copy_from(content)
    return PAGE


def tell(connection: Connection, event: u8) -> None:
    """The counter and the turns, and the end."""
    if event == Event.OPENED:
        text = Array[u8, 64]()
        streams.write(connection, text[: format_into(text, f"{read_timestamp()} {turns}\n")])
        streams.close(connection)


def send_bulk(connection: Connection, event: u8) -> None:
    if event == Event.OPENED or event == Event.WRITABLE:
        while connection.user < BULK:
            piece = min(PAGE, BULK - connection.user)
            taken = streams.write(connection, content[:piece])
            connection.user += taken
            if taken < piece:
                return
        streams.close(connection)


def swallow(connection: Connection, event: u8) -> None:
    if event == Event.READABLE:
        streams.consume(connection, len(streams.arrived(connection)))
    elif event == Event.END:
        streams.close(connection)


def main() -> None:
    global turns
    network.start()
    streams.start(connections, buffers, BUFFER)
    pages.start(80, answer)
    streams.listen(81, tell)
    streams.listen(82, send_bulk)
    streams.listen(83, swallow)
    print("ready")
    if SLEEPS:
        network.serve_forever()
    while True:
        if network.poll() == 0:
            turns += 1
