# SPDX-License-Identifier: MIT
"""A server of pages: HTTP/1.1 on `streams`. Connections are kept, requests may come in a pipeline, each is answered from
one function of the application's. A request that cannot be understood is answered and its connection closed.

A page that has no room in the send buffer at once goes piece by piece. Its request stays where it arrived meanwhile, and
the application is asked again before each piece, so a connection needs no memory for it but how far it is.
"""

from collections.abc import Callable

from exokernel.exos.net import http, streams
from exokernel.exos.net.http import Request, Status
from exokernel.exos.net.tcp import Connection, Event
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Span, struct, u8, u16, u32, u64

LARGEST_PAGE = 8192
PATIENCE = 30  # seconds that a connection may do nothing
WHOLE = 60  # seconds that a request may take to arrive
# In Connection.user, two bits, and above them when the request began that is not yet whole, or how much of the page was
# sent and, from bit LENGTH on, how long it was said to be.
ENDED = 1  # the peer sends no more
SENDING = 2  # some of the answer has been sent
ABOVE = 2
LENGTH = 33
LARGEST_CONTENT = (1 << (LENGTH - ABOVE)) - 1


@struct
class Server:
    answer: Callable[[Request, bytes, Span[u8]], u64]
    requests: u64


def no_page(request: Request, target: bytes, page: Span[u8]) -> u64:
    """Stands where no application is."""
    return 0


server: Server = Server(no_page)
page: Array[u8, LARGEST_PAGE] = Array[u8, LARGEST_PAGE]()
head: Array[u8, http.LARGEST_ANSWER_HEAD] = Array[u8, http.LARGEST_ANSWER_HEAD]()


def start(port: u16, answer: Callable[[Request, bytes, Span[u8]], u64]) -> bool:
    """Serve on `port`; the buffers of `streams` must have at least 9,000 bytes. For a GET or HEAD `answer` gets the
    request, its target and a place for the page; it returns the page's length, and sets `request.status` (OK) and
    `request.kind` (HTML) if they are others. Or it sets `request.content`, to less than 2 GiB that stay as they are, and is
    asked again until all is sent; what it returns is then of no account. False if the port is taken.
    """
    assert streams.host.buffer_size >= LARGEST_PAGE + http.LARGEST_ANSWER_HEAD
    server.answer = answer
    return streams.listen(port, serve)


def serve(connection: Connection, event: u8) -> None:
    if event == Event.OPENED:
        connection.no_delay = True
        streams.set_patience(connection, PATIENCE)
        return
    if event == Event.LOST:
        return
    if event == Event.END:
        connection.user |= ENDED
    answer_all(connection)


def answer_all(connection: Connection) -> None:
    """Answer what has arrived, as far as there is room for answers."""
    request = Request()
    while True:
        data = streams.arrived(connection)
        if len(data) == 0:
            break
        sending = connection.user & SENDING != 0
        if not sending and streams.room(connection) < LARGEST_PAGE + http.LARGEST_ANSWER_HEAD:
            streams.want_room(connection)
            return
        status = http.parse(data, request)
        if status == http.INCOMPLETE:
            now = read_timestamp()
            if connection.user >> ABOVE == 0:
                connection.user |= now << ABOVE
            elif now - (connection.user >> ABOVE) > WHOLE * streams.host.second:
                streams.abort(connection)  # somebody keeps us busy with crumbs
                return
            break
        progress = connection.user
        connection.user &= ENDED
        server.requests += u64(not sending)
        if status == Status.OK and request.method != http.Method.GET and request.method != http.Method.HEAD:
            status = Status.METHOD_NOT_ALLOWED
        if status != Status.OK:
            refuse(connection, status)
            return
        request.status = Status.OK
        request.kind = http.Kind.HTML
        target = data[u64(request.target) : u64(request.target_end)]
        request.content = page[:0]
        length = server.answer(request, target, page)
        body = request.content if len(request.content) != 0 else page[:length]
        sent: u64 = 0
        if sending:
            sent = (progress >> ABOVE) & LARGEST_CONTENT
            if progress >> LENGTH != len(body):
                streams.abort(connection)  # the page has changed: what was said of it cannot be held
                return
        else:
            count = http.write_head(head, request.status, request.kind, len(body), request.keep_alive)
            streams.write(connection, head[:count])
        if request.method == http.Method.GET:
            sent += streams.write(connection, body[sent:])
            if sent < len(body):
                connection.user |= SENDING | (sent << ABOVE) | (len(body) << LENGTH)
                return
        streams.consume(connection, u64(request.length))
        if not request.keep_alive:
            streams.close(connection)
            return
    if connection.user & ENDED:
        streams.close(connection)


def refuse(connection: Connection, status: u32) -> None:
    count = http.write_head(head, status, http.Kind.TEXT, 0, keep_alive=False)
    streams.write(connection, head[:count])
    streams.close(connection)
