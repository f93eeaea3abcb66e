# SPDX-License-Identifier: MIT
"""A web server whose page shows the machine that it runs on: environments, frames, slices, packets and connections,
once a second.

    ./exo run examples/web.py

and open http://127.0.0.1:8080/ in a browser, because FORWARD leads port 8080 of this computer to port 80 of the
machine. The same as data is at /state.json. Give it company to watch:

    ./exo run examples/web.py examples/top.py

Everything from the Ethernet header up is the library in src/exokernel/exos: no kernel knows of TCP here.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import State
from exokernel.exos import aegis, http, network, pages, streams, tcp
from exokernel.exos.http import Request
from exokernel.exos.tcp import Connection
from exokernel.metal import Array, Span, format_into, u8, u64

FORWARD = ["tcp:8080:80"]
PORT = 80
CONNECTIONS = 512
BUFFER = 16384
BUFFERS = 64

connections: Array[Connection, CONNECTIONS] = Array[Connection, CONNECTIONS](
    [tcp.new_connection() for _ in range(CONNECTIONS)]
)
buffers: Array[u8, BUFFERS * BUFFER] = Array[u8, BUFFERS * BUFFER]()

HEAD = (
    "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=1><title>Aegis</title>"
    "<style>body{font:15px/1.5 monospace;margin:2em;max-width:60em}table{border-collapse:collapse}"
    "td,th{padding:.1em 1em;text-align:right}td:last-child,th:last-child{text-align:left}"
    "th{border-bottom:1px solid}</style><h1>This machine</h1>"
)


def slices_of(identifier: u64) -> u64:
    """How many of the processor's slices an environment owns."""
    count: u64 = 0
    for owner in aegis.system_page().slice_owners:
        count += u64(owner == identifier)
    return count


def open_connections() -> u64:
    count: u64 = 0
    for connection in connections:
        count += u64(connection.state == tcp.State.ESTABLISHED)
    return count


def name_length(name: Array[u8, abi.NAME_BYTES]) -> u64:
    length: u64 = 0
    while length < abi.NAME_BYTES and name[length] != 0:
        length += 1
    return length


def state_name(state: u64) -> str:
    if state == State.RUNNABLE:
        return "runnable"
    if state == State.SLEEPING:
        return "sleeping"
    return "ending"


def show(page: Span[u8]) -> u64:
    system = aegis.system_page()
    packets = system.network
    end = format_into(
        page,
        f"{HEAD}<p>{system.frames} frames, <b id=free>{system.frames_free}</b> free; "
        f"{slices_of(abi.ENVIRONMENTS)} slices free</p><p>packets: <b id=packets>{packets.received}</b> received, "
        f"{packets.delivered} delivered, {packets.ring_full} lost, {packets.transmitted} sent</p>"
        f"<p>requests: <b id=requests>{pages.server.requests}</b>; connections: {streams.host.opened} so far, "
        f"{open_connections()} now</p>"
        "<table><tr><th>number<th>state<th>frames<th>slices<th>name",
    )
    for i in range(abi.ENVIRONMENTS):
        status = system.environments[i]
        if status.state != State.FREE and len(page) - end > 200:
            end += format_into(
                page[end:],
                f"<tr><td>{i}<td>{state_name(status.state)}<td>{status.frames}<td>{slices_of(i)}<td>",
            )
            for j in range(name_length(status.name)):
                byte = status.name[j]
                page[end] = byte if byte != 60 and byte != 38 else u8(63)  # no markup in names
                end += 1
    return end + format_into(page[end:], "</table></html>\n")


def show_data(page: Span[u8]) -> u64:
    system = aegis.system_page()
    packets = system.network
    return format_into(
        page,
        f'{{"frames": {system.frames}, "frames_free": {system.frames_free}, "received": {packets.received}, '
        f'"delivered": {packets.delivered}, "sent": {packets.transmitted}, "requests": {pages.server.requests}, '
        f'"connections": {streams.host.opened}}}\n',
    )


def answer(request: Request, target: bytes, page: Span[u8]) -> u64:
    if target == b"/":
        return show(page)
    if target == b"/state.json":
        request.kind = http.Kind.JSON
        return show_data(page)
    request.status = http.Status.NOT_FOUND
    request.kind = http.Kind.TEXT
    return format_into(page, "There is / and /state.json.\n")


def main() -> bool:
    if not network.start():
        print("There is no network device, or another environment has it.")
        return True
    streams.start(connections, buffers, BUFFER)
    pages.start(PORT, answer)
    print("Pages on TCP port 80. Try: http://127.0.0.1:8080/")
    network.serve_forever()
    return False
