# SPDX-License-Identifier: MIT
"""What a page of 1 KiB costs over TCP and HTTP, and what a thousand connections do that say nothing.

`instructions-per-request` is all of kernel and library, from the interrupt to the device (host/counting.py says how).
Its client is this computer's Linux through QEMU's user network. `keep-alive` is one request on a connection that is kept,
with all acknowledgments; `new-connection` a whole life of one: handshake, request with `Connection: close`, both FINs;
`pipeline-16` has so many requests under way. With `--wall`, `requests` is what wrk gets done per second from Linux's TCP
over a tap device (host/namespace.py; without root the row is left out, and says so). `memory` is what the machine has
given away with a thousand connections open, served and idle: kernel, image, tables and buffers; `memory-per-connection`
is what a thousand rows more take, each with its idle connection.

`drive` and `rate` do not know who serves.
"""

import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from exokernel.host import linux_servers
from exokernel.host.build import build
from exokernel.host.counting import Work, connect, free_port
from exokernel.host.exhibit import Context, Figure, with_constants
from exokernel.host.linux import SETTINGS, Linux
from exokernel.host.machine import MEASURED_MEMORY, Forward, Link, Machine, measured
from exokernel.host.namespace import GUEST, namespace
from exokernel.host.terminal import Failure

APPLICATION = Path(__file__).with_name("page.py")
PAGE = 1024
VARIANTS = ("keep-alive", "new-connection", "pipeline-16")
WARM = 48
REQUESTS = 480  # a multiple of the pipeline's depth
LOADS = (("keep-alive", 1), ("keep-alive", 8), ("keep-alive", 50), ("new-connection", 1), ("new-connection", 8))
SECONDS = 2
IDLE = 1000
MEMORY = 16  # MiB of the machine with the idle connections
TIMEOUT = 120.0


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    runs = min(context.runs, 5)
    with serving(icount=True) as server:
        work = Work(server.work)
        for variant in VARIANTS:
            values = work.each(runs, REQUESTS, partial(drive, server.page, variant, REQUESTS))
            yield context.figure("instructions-per-request", "instructions", values, variant=variant)
    large, small = memory(1024), memory(24)
    yield context.figure("memory", "bytes", [large], variant=f"{IDLE} idle connections")
    yield context.figure("memory-per-connection", "bytes", [(large - small) / IDLE], variant="idle")
    if context.wall:
        with context.if_possible("requests"):
            if shutil.which("wrk") is None:
                raise Failure("wrk is not installed")
            with namespace() as link, serving(link=link, SLEEPS=1):
                yield from requests(context)


def peer_rows(context: Context, linux: Linux) -> Iterable[Figure]:
    """nginx of Debian on Linux: the same clients, the same page."""
    runs = min(context.runs, 5)
    service = linux_servers.nginx(bytes(97 + i % 26 for i in range(PAGE)))
    for setting, words in SETTINGS.items():
        with linux_servers.serving(linux, service, words) as server:
            work = Work(server.work)
            for variant in VARIANTS:
                drive(server.port, variant, WARM)
                values = work.each(runs, REQUESTS, partial(drive, server.port, variant, REQUESTS))
                named = f"nginx, {variant}{setting}"
                yield context.figure("instructions-per-request", "instructions", values, "linux", named)
    if context.wall:
        with context.if_possible("requests"):
            with namespace() as link, linux_servers.serving(linux, service, link=link, icount=False):
                yield from requests(context, "linux", "nginx, ")


def requests(context: Context, system: str = "exos", words: str = "") -> Iterator[Figure]:
    """The row of that name, from whoever serves the page on the link. Raises ValueError."""
    for variant, connections in LOADS:
        values = [rate(GUEST, 80, variant, connections) for _ in range(min(context.runs, 3))]
        yield context.figure("requests", "per-second", values, system, f"{words}{variant}, {connections} at once")


class Server(NamedTuple):
    """Ports of this computer that lead to the page, and to what the server has done."""

    page: int
    work: int
    machine: Machine


@contextmanager
def serving(
    icount: bool = False, memory: int = MEASURED_MEMORY, link: Link | None = None, **constants: int
) -> Iterator[Server]:
    """page.py, with other values of its constants, in a machine; behind QEMU's user network, or on a link."""
    page, work = free_port(), free_port()
    forward = (Forward.parse(f"tcp:{page}:80"), Forward.parse(f"tcp:{work}:81"))
    with tempfile.TemporaryDirectory() as folder:
        source = APPLICATION
        if constants:
            source = Path(folder) / APPLICATION.name
            source.write_text(with_constants(APPLICATION.read_text(), **constants))
        image = build([source]).path
        with Machine(
            image, measured(icount=icount, memory=memory, link=link, forward=forward), timeout=TIMEOUT
        ) as machine:
            machine.wait_for(b"ready")
            yield Server(page, work, machine)


# ---- clients, whoever serves


def request(port: int, close: bool = False) -> bytes:
    """A request for the page."""
    end = "Connection: close\r\n\r\n" if close else "\r\n"
    return f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{end}".encode()


def drive(port: int, variant: str, requests: int) -> None:
    """Ask 127.0.0.1:`port` so often for the page, in the way of one of VARIANTS, one client. Raises ValueError when an
    answer is not a page of PAGE bytes.
    """
    if variant == "new-connection":
        for _ in range(requests):
            with connect(port) as connection:
                answers = Answers(connection)
                connection.sendall(request(port, close=True))
                answers.take()
                if answers.data or connection.recv(1):
                    raise ValueError("the connection goes on")
        return
    depth = int(variant.removeprefix("pipeline-")) if variant != "keep-alive" else 1
    with connect(port) as connection:
        answers = Answers(connection)
        for _ in range(requests // depth):
            connection.sendall(request(port) * depth)
            for _ in range(depth):
                answers.take()


class Answers:
    """Answers on a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.data = connection, b""

    def more(self) -> None:
        piece = self.connection.recv(65536)
        if not piece:
            raise ValueError(f"the connection ended within an answer: {self.data!r}")
        self.data += piece

    def take(self) -> None:
        """The next one, which must be the page."""
        while b"\r\n\r\n" not in self.data:
            self.more()
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        if not head.startswith(b"HTTP/1.1 200 ") or length is None or int(length[1]) != PAGE:
            raise ValueError(f"not the page: {head!r}")
        while len(self.data) < PAGE:
            self.more()
        self.data = self.data[PAGE:]


def rate(address: str, port: int, variant: str, connections: int, seconds: int = SECONDS) -> float:
    """Requests per second that wrk gets answered by that address. Raises ValueError when any of them goes wrong."""
    words = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s"]
    words += ["-H", "Connection: close"] if variant == "new-connection" else []
    run = subprocess.run([*words, f"http://{address}:{port}/"], capture_output=True, text=True, timeout=60, check=True)
    found = re.search(r"^Requests/sec: +([\d.]+)$", run.stdout, re.MULTILINE)
    if found is None or "Socket errors" in run.stdout or "Non-2xx" in run.stdout or float(found[1]) == 0:
        raise ValueError(run.stdout + run.stderr)
    return float(found[1])


# ---- memory


def memory(rows: int) -> float:
    """Bytes that the machine has given away while as many connections as fit into `rows`, with 24 to spare, are open
    and idle, each of them served once.
    """
    with serving(memory=MEMORY, CONNECTIONS=rows, SLEEPS=1) as server, ExitStack() as stack:
        for _ in range(rows - 24):
            connection = stack.enter_context(connect(server.page))
            connection.sendall(request(server.page))
            Answers(connection).take()
        with connect(server.page) as connection, connection.makefile("rb") as file:
            connection.sendall(b"GET /memory HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            opened, used = map(int, file.read().split(b"\r\n\r\n")[1].split())
    if opened != rows - 24 + 1:
        raise ValueError(f"{opened} connections are open")
    return used
