# SPDX-License-Identifier: MIT
"""What a page of 1 KiB costs over TCP, from the interrupt to the device: all instructions of kernel and library.

Under `-icount shift=0` the server's loop never sleeps and counts its turns, so what N requests cost is the time-stamp
counter's way less the turns that found nothing, at their own price (found while nothing happens). The client is this
computer's Linux through QEMU's user network. `page keep-alive` is one request on a connection that is kept, with all
acknowledgments; `page new-connection` is a whole life of one: handshake, request with `Connection: close`, both FINs.
`limit` is nginx on Linux on the machine of the design, as measured there.
"""

import re
import socket
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.bench import Context, Figure
from exokernel.host.build import build
from exokernel.host.machine import Forward, Machine, Options

APPLICATION = Path(__file__).parent / "page.py"
TIMEOUT = 120.0
REQUESTS = 500
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
    import time

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


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    port = free_port()
    options = Options(icount=True, forward=(Forward.parse(f"tcp:{port}:80"),))
    runs = min(context.runs, 5)
    with Machine(build([APPLICATION]).path, options, timeout=TIMEOUT) as machine:
        machine.wait_for(b"ready")
        client = Client(port)
        for variant, new in (("keep-alive", False), ("new-connection", True)):
            yield context.figure("page", "instructions", [cost(client, new) for _ in range(runs)], variant=variant)
    for variant, count in PEERS:
        yield context.figure("page", "instructions", [count], system="limit", variant=variant)
