# SPDX-License-Identifier: MIT
"""Pages that do not fit into a send buffer: /large and /larger, /small, and /changing, which is another one each time."""

from exokernel.exos.net import http, network, pages, streams, tcp
from exokernel.exos.net.http import Request
from exokernel.exos.net.tcp import Connection
from exokernel.metal import Array, Span, format_into, u8, u64

CONNECTIONS = 16
BUFFER = 16384
BUFFERS = 8

connections: Array[Connection, CONNECTIONS] = Array[Connection, CONNECTIONS](
    [tcp.new_connection() for _ in range(CONNECTIONS)]
)
buffers: Array[u8, BUFFERS * BUFFER] = Array[u8, BUFFERS * BUFFER]()
content: Array[u8, 300_000] = Array[u8, 300_000](bytes((i * i >> 8) & 0xFF for i in range(300_000)))
asked: u64 = 0


def answer(request: Request, target: bytes, page: Span[u8]) -> u64:
    global asked
    request.kind = http.Kind.BYTES
    if target == b"/large":
        request.content = content[:100_000]
    elif target == b"/larger":
        request.content = content
    elif target == b"/changing":
        asked += 1
        request.content = content[: 100_000 - asked]
    elif target == b"/free":
        free: u64 = 0
        for connection in connections:
            none = connection.send_buffer == tcp.NONE and connection.receive_buffer == tcp.NONE
            free += u64(connection.state == tcp.State.CLOSED or none)
        return format_into(page, f"{free}")
    else:
        return format_into(page, "small")
    return 0


def main() -> None:
    network.start()
    streams.start(connections, buffers, BUFFER)
    pages.start(80, answer)
    print("ready")
    network.serve_forever()
