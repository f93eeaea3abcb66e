# SPDX-License-Identifier: MIT
"""A web server whose page shows the machine that it runs on, as it changes: memory, the processor's slices, packets,
connections, and who has what.

    ./exo run examples/web.py

and open http://127.0.0.1:8080/ in a browser, because FORWARD leads port 8080 of this computer to port 80 of the
machine. The same as data is at /state.json. Give it company to watch:

    ./exo run examples/web.py examples/top.py examples/crash.py

Everything from the Ethernet header up is the library in src/exokernel/exos: no kernel knows of TCP here. The page is a
file of the bundle, web.html.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import State
from exokernel.exos import aegis, files
from exokernel.exos.net import http, network, pages, streams, tcp
from exokernel.exos.net.http import Request
from exokernel.exos.net.tcp import Connection
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Span, format_into, struct, u8, u64

FILES = ["web.html"]
FORWARD = ["tcp:8080:80"]
PORT = 80
CONNECTIONS = 512
BUFFER = 16384
BUFFERS = 64
LARGEST_ENTRY = 200  # bytes of what is said of an environment


@struct
class Site:
    content: Span[u8]  # web.html
    started: u64  # on the clock


connections: Array[Connection, CONNECTIONS] = Array[Connection, CONNECTIONS](
    [tcp.new_connection() for _ in range(CONNECTIONS)]
)
buffers: Array[u8, BUFFERS * BUFFER] = Array[u8, BUFFERS * BUFFER]()
site: Site = Site()


def open_connections() -> u64:
    count: u64 = 0
    for connection in connections:
        count += u64(connection.state == tcp.State.ESTABLISHED)
    return count


def slices_of(identifier: u64) -> u64:
    """How many of the processor's slices an environment owns."""
    count: u64 = 0
    for owner in aegis.system_page().slice_owners:
        count += u64(owner == identifier)
    return count


def state_name(state: u64) -> str:
    if state == State.RUNNABLE:
        return "runnable"
    if state == State.SLEEPING:
        return "sleeping"
    return "ending"


def write_name(page: Span[u8], name: Array[u8, abi.NAME_BYTES]) -> u64:
    """The name as the inside of a JSON string; how many bytes it has."""
    length: u64 = 0
    while length < abi.NAME_BYTES and name[length] != 0:
        byte = name[length]
        page[length] = u8(63) if byte < 32 or byte > 126 or byte == 34 or byte == 92 else byte
        length += 1
    return length


def show_data(page: Span[u8]) -> u64:
    system = aegis.system_page()
    packets = system.network
    end = format_into(
        page,
        f'{{"milliseconds": {(read_timestamp() - site.started) * 1000 // network.card.second}, '
        f'"frames": {system.frames}, "frames_free": {system.frames_free}, "received": {packets.received}, '
        f'"delivered": {packets.delivered}, "lost": {packets.ring_full}, "sent": {packets.transmitted}, '
        f'"requests": {pages.server.requests}, "connections": {streams.host.opened}, "open": {open_connections()}, '
        f'"slices": [',
    )
    for i in range(abi.SLICES):
        comma = ", " if i != 0 else ""
        end += format_into(page[end:], f"{comma}{system.slice_owners[i]}")
    end += format_into(page[end:], '], "environments": [')
    several = False
    for i in range(abi.ENVIRONMENTS):
        status = system.environments[i]
        if status.state != State.FREE and len(page) - end > LARGEST_ENTRY:
            comma = ", " if several else ""
            several = True
            end += format_into(page[end:], f'{comma}{{"number": {i}, "name": "')
            end += write_name(page[end:], status.name)
            end += format_into(
                page[end:],
                f'", "state": "{state_name(status.state)}", "frames": {status.frames}, "slices": {slices_of(i)}}}',
            )
    return end + format_into(page[end:], "]}\n")


def answer(request: Request, target: bytes, page: Span[u8]) -> u64:
    if target == b"/":
        request.content = site.content
        return 0
    if target == b"/state.json":
        request.kind = http.Kind.JSON
        return show_data(page)
    request.status = http.Status.NOT_FOUND
    request.kind = http.Kind.TEXT
    return format_into(page, "There is / and /state.json.\n")


def main() -> bool:
    site.started = read_timestamp()
    text, error = files.view(u64(files.find(b"web.html")))
    if error != 0:
        print("The page web.html is not in the image.")
        return True
    site.content = text
    if not network.start():
        print("There is no network device, or another environment has it.")
        return True
    streams.start(connections, buffers, BUFFER)
    pages.start(PORT, answer)
    print("Pages on TCP port 80. Try: http://127.0.0.1:8080/")
    network.serve_forever()
    return False
