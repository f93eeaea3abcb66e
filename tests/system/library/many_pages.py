# SPDX-License-Identifier: MIT
"""A server of pages with a buffer for each of its connections; its page tells what the network has lost."""

from exokernel.exos import aegis
from exokernel.exos.net import http, network, pages, streams, tcp
from exokernel.exos.net.http import Request
from exokernel.exos.net.tcp import Connection
from exokernel.metal import Array, Span, format_into, u8, u64

CONNECTIONS = 256
BUFFER = 9216
connections: Array[Connection, CONNECTIONS] = Array[Connection, CONNECTIONS](
    [tcp.new_connection() for _ in range(CONNECTIONS)]
)
buffers: Array[u8, CONNECTIONS * BUFFER] = Array[u8, CONNECTIONS * BUFFER]()


def answer(request: Request, target: bytes, page: Span[u8]) -> u64:
    request.kind = http.Kind.TEXT
    counts = aegis.system_page().network
    return format_into(page, f"{counts.received} {counts.delivered} {counts.ring_full}\n")


def main() -> None:
    network.start()
    streams.start(connections, buffers, BUFFER)
    pages.start(80, answer)
    print("ready")
    network.serve_forever()
