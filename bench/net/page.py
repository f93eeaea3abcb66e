# SPDX-License-Identifier: MIT
"""A server of one page of 1,024 bytes that never sleeps, so that the time-stamp counter under `-icount shift=0` counts
what it does: `/work` tells the counter, and how often the loop found nothing to do. On port 82 it sends BULK bytes to
whoever connects, on port 83 it swallows what comes.
"""

from exokernel.exos import http, network, pages, streams, tcp
from exokernel.exos.http import Request
from exokernel.exos.tcp import Connection, Event
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Span, format_into, u8, u64

CONNECTIONS = 1024
BUFFER = 16384
BUFFERS = 32
PAGE = 1024
BULK = 4 << 20

connections: Array[Connection, CONNECTIONS] = Array[Connection, CONNECTIONS](
    [tcp.new_connection() for _ in range(CONNECTIONS)]
)
buffers: Array[u8, BUFFERS * BUFFER] = Array[u8, BUFFERS * BUFFER]()
content: Array[u8, PAGE] = Array[u8, PAGE](bytes(97 + i % 26 for i in range(PAGE)))
turns: u64 = 0


def answer(request: Request, target: bytes, page: Span[u8]) -> u64:
    if target == b"/work":
        return format_into(page, f"{read_timestamp()} {turns}\n")
    request.kind = http.Kind.TEXT
    page[:PAGE].copy_from(content)
    return PAGE


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
    streams.listen(82, send_bulk)
    streams.listen(83, swallow)
    print("ready")
    while True:
        if network.poll() == 0:
            turns += 1
