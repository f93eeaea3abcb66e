# SPDX-License-Identifier: MIT
"""What a page of 1 KiB costs over TCP, from the interrupt to the device: all instructions of kernel and library.

Under `-icount shift=0` the server's loop never sleeps and counts its turns, so what N requests cost is the time-stamp
counter's way less the turns that found nothing, at their own price (found while nothing happens). The client is this
computer's Linux through QEMU's user network. `page keep-alive` is one request on a connection that is kept, with all
acknowledgments; `page new-connection` is a whole life of one: handshake, request with `Connection: close`, both FINs.
`get pipeline-N` is one GET of the key-value server of a 16-byte value, N of them under way at once on one connection.
`mebibyte` is bulk, 4 MiB in one direction.
`frame-N` hands one frame of N bytes to the device, and takes back one that it has read: `copied` by the kernel, `lent` to
it where it lies, or in a call with seven others.
`limit` is nginx on Linux on the machine of the design, as measured there.
"""

import re
import socket
import time
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.bench import Context, Figure
from exokernel.host.build import build
from exokernel.host.machine import Forward, Machine, Options

APPLICATION = Path(__file__).parent / "page.py"
FRAMES = Path(__file__).parent / "frames.py"
KEYS = Path(__file__).parent / "keys.py"
PIPELINES = (1, 16, 64)
TIMEOUT = 120.0
REQUESTS = 500
BULK = 4 << 20  # as in the application
PEERS = (("keep-alive", 43_354), ("new-connection", 123_811))


class Client:
    """Requests to the guest."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = self.connect()

    def connect(self) -> socket.socket:
        found = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found

    def get(self, target: str, new: bool = False) -> bytes:
        """The body of an answer, on a connection of its own or the one that is kept."""
        connection = self.connect() if new else self.socket
        close = "Connection: close\r\n" if new else ""
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{close}\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        match = re.search(rb"Content-Length: (\d+)", head)
        if match is None or not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(f"no answer: {head!r}")
        while len(body) < int(match[1]):
            body += connection.recv(65536)
        if new:
            if connection.recv(1) != b"":
                raise ValueError("the connection goes on")
            connection.close()
        return body

    def work(self) -> tuple[int, int]:
        """The server's counter and idle turns."""
        counter, turns = self.get("/work").split()
        return int(counter), int(turns)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def turn_price(client: Client) -> float:
    """Instructions of a turn of the loop in which nothing happens, timer interrupts in due proportion."""
    before = client.work()
    time.sleep(0.5)
    after = client.work()
    return (after[0] - before[0]) / (after[1] - before[1])


def cost(client: Client, new: bool) -> float:
    """Instructions of one request."""
    price = turn_price(client)
    before = client.work()
    for _ in range(REQUESTS):
        if len(client.get("/", new)) != 1024:
            raise ValueError("not the page")
    after = client.work()
    return (after[0] - before[0] - price * (after[1] - before[1])) / REQUESTS


def look(port: int) -> tuple[int, int]:
    """The key-value server's counter and idle turns."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        counter, turns = connection.makefile().read().split()
        return int(counter), int(turns)


def cost_of_get(keys: int, work: int, depth: int) -> float:
    """Instructions of one GET when `depth` are sent at once."""
    with socket.create_connection(("127.0.0.1", keys), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")
        connection.sendall(b"SET key 0123456789abcdef\r\n")
        if stream.readline() != b"+OK\r\n":
            raise ValueError("nothing was set")
        rest = look(work)
        time.sleep(0.5)
        before = look(work)
        price = (before[0] - rest[0]) / (before[1] - rest[1])
        for _ in range(REQUESTS):
            connection.sendall(b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n" * depth)
            if stream.read(23 * depth) != b"$16\r\n0123456789abcdef\r\n" * depth:
                raise ValueError("not the value")
        after = look(work)
        return (after[0] - before[0] - price * (after[1] - before[1])) / (REQUESTS * depth)


def cost_of_bulk(client: Client, port: int, sending: bool) -> float:
    """Instructions for a MiB to the server (`sending`) or from it."""
    price = turn_price(client)
    before = client.work()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        if sending:
            connection.sendall(bytes(BULK))
            connection.shutdown(socket.SHUT_WR)
        count = 0
        while piece := connection.recv(1 << 20):
            count += len(piece)
        if count != (0 if sending else BULK):
            raise ValueError(f"{count} bytes came")
    after = client.work()
    mebibytes = BULK / (1 << 20)
    return (after[0] - before[0] - price * (after[1] - before[1])) / mebibytes


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    port, source, sink = free_port(), free_port(), free_port()
    rules = (f"tcp:{port}:80", f"tcp:{source}:82", f"tcp:{sink}:83")
    options = Options(icount=True, forward=tuple(Forward.parse(rule) for rule in rules))
    runs = min(context.runs, 5)
    with Machine(build([APPLICATION]).path, options, timeout=TIMEOUT) as machine:
        machine.wait_for(b"ready")
        client = Client(port)
        for variant, new in (("keep-alive", False), ("new-connection", True)):
            yield context.figure("page", "instructions", [cost(client, new) for _ in range(runs)], variant=variant)
        for variant, number in (("from-us", source), ("to-us", sink)):
            values = [cost_of_bulk(client, number, number == sink) for _ in range(runs)]
            yield context.figure("mebibyte", "instructions", values, variant=variant)
    keys, work = free_port(), free_port()
    options = Options(icount=True, forward=(Forward.parse(f"tcp:{keys}:6379"), Forward.parse(f"tcp:{work}:81")))
    with Machine(build([KEYS]).path, options, timeout=TIMEOUT) as machine:
        machine.wait_for(b"ready")
        for depth in PIPELINES:
            values = [cost_of_get(keys, work, depth) for _ in range(runs)]
            yield context.figure("get", "instructions", values, variant=f"pipeline-{depth}")
    with Machine(build([FRAMES]).path, Options(icount=True), timeout=TIMEOUT) as machine:
        machine.wait()
    for length, way, count in re.findall(r"^(\d+) ([a-z-]+) (\d+)$", machine.console.decode(), re.MULTILINE):
        yield context.figure(f"frame-{length}", "instructions", [int(count)], variant=way)
    for variant, count in PEERS:
        yield context.figure("page", "instructions", [count], system="limit", variant=variant)
