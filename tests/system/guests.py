# SPDX-License-Identifier: MIT
"""Booting examples for the tests, and the test's end of a raw link."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from exokernel.host import machine
from exokernel.host.build import build
from exokernel.host.machine import Machine

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TIMEOUT = 110.0  # seconds for a whole run
ANSWER = 10.0  # seconds that a guest on a busy computer may take


@contextmanager
def running(
    applications: Sequence[Path],
    *,
    link: machine.Link | None = None,
    forward: Sequence[str] = (),
    memory: int = 64,
    slice_ticks: int = 0,
    icount: bool = False,
) -> Iterator[Machine]:
    """Build and boot `applications`; they are ended with the block."""
    ports = tuple(machine.Forward.parse(f) for f in forward)
    options = machine.Options(link=link, forward=ports, memory=memory, icount=icount)
    with Machine(build(list(applications), slice_ticks=slice_ticks).path, options, timeout=TIMEOUT) as guest:
        yield guest


class Link:
    """Our end of a wire to a guest: whole Ethernet frames go in and come out."""

    def __init__(self, folder: Path) -> None:
        self.local, self.remote = folder / "test", folder / "guest"
        self.option = machine.Link(str(self.remote), str(self.local))
        self.guest: Machine | None = None
        self.socket: socket.socket | None = None

    def open(self) -> None:
        """Take our end; before the guest starts, so that it finds it."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.local))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.settimeout(ANSWER)

    def send(self, frame: bytes) -> None:
        """Waits for room."""
        assert self.socket is not None
        self.socket.sendto(frame, str(self.remote))

    def send_or_drop(self, frame: bytes) -> None:
        """As a wire does it."""
        assert self.socket is not None
        with suppress(BlockingIOError):
            self.socket.sendto(frame, socket.MSG_DONTWAIT, str(self.remote))

    def receive(self) -> bytes:
        """The next frame from the guest."""
        assert self.socket is not None
        try:
            return self.socket.recv(65536)
        except TimeoutError:
            shown = self.guest.transcript() if self.guest else ""
            raise AssertionError(f"no frame from the guest in {ANSWER} s\n{shown}") from None

    def receive_all(self, quiet: float) -> list[bytes]:
        """Frames until none has come for `quiet` seconds."""
        assert self.socket is not None
        frames, deadline = [], time.monotonic() + 60
        self.socket.settimeout(quiet)
        try:
            while time.monotonic() < deadline:
                frames.append(self.socket.recv(65536))
        except TimeoutError:
            pass
        finally:
            self.socket.settimeout(ANSWER)
        return frames


@contextmanager
def link(connect: bool = True) -> Iterator[Link]:
    """A wire; with `connect` its near end is taken by the test, otherwise left to another process."""
    with tempfile.TemporaryDirectory(prefix="exo-") as folder:  # the path of a unix socket must be short
        cable = Link(Path(folder))
        try:
            if connect:
                cable.open()
            yield cable
        finally:
            if cable.socket is not None:
                cable.socket.close()


def free_port() -> int:
    """A UDP port of 127.0.0.1 that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_tcp_port() -> int:
    """The same for TCP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
