# SPDX-License-Identifier: MIT
"""A server of one page of 1,024 bytes that never sleeps, so that the time-stamp counter under `-icount shift=0` counts
what it does: `/work` tells the counter, and how often the loop found nothing to do.
"""

from exokernel.exos import http, network, pages, streams, tcp
from exokernel.exos.http import Request
from exokernel.exos.tcp import Connection
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Span, format_into, u8, u64

CONNECTIONS = 1024
BUFFER = 16384
BUFFERS = 32
PAGE = 1024

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


def main() -> None:
    global turns
    network.start()
    streams.start(connections, buffers, BUFFER)
    pages.start(80, answer)
    print("ready")
    while True:
        if network.poll() == 0:
            turns += 1
