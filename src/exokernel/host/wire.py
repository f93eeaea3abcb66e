# SPDX-License-Identifier: MIT
"""Our end of a raw link to a guest (`--link`): whole Ethernet frames go in and come out, as on a wire, through a pair of
unix datagram sockets. Nothing is sent again.
"""

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exokernel.host.machine import Link, Machine, MachineError

ANSWER = 10.0  # seconds that a guest on a busy computer may take
LARGEST = 65536


class Wire:
    """The sockets lie in `folder`, whose path must be short. `option` is the other end's, for the machine; `guest`, once
    it is known, is shown when no frame comes.
    """

    def __init__(self, folder: Path) -> None:
        self.local, self.remote = folder / "test", folder / "guest"
        self.option = Link(str(self.remote), str(self.local))
        self.guest: Machine | None = None
        self.socket: socket.socket | None = None

    def open(self) -> None:
        """Take our end; before the guest starts, so that it finds it."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.local))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.settimeout(ANSWER)
        self.instant = self.socket.dup()  # a socket with a time-out waits, whatever a single call says
        self.instant.setblocking(False)

    def close(self) -> None:
        """Give our end up."""
        if self.socket is not None:
            self.socket.close()
            self.instant.close()

    def send(self, frame: bytes) -> None:
        """Waits for room."""
        assert self.socket is not None
        self.socket.sendto(frame, str(self.remote))

    def send_or_drop(self, frame: bytes) -> None:
        """As a wire does it."""
        with suppress(BlockingIOError):
            self.instant.sendto(frame, str(self.remote))

    def receive(self) -> bytes:
        """The next frame from the guest. Raises `MachineError`."""
        assert self.socket is not None
        try:
            return self.socket.recv(LARGEST)
        except TimeoutError:
            shown = self.guest.transcript() if self.guest else ""
            raise MachineError(f"no frame from the guest in {ANSWER} s\n{shown}") from None

    def receive_all(self, quiet: float) -> list[bytes]:
        """Frames until none has come for `quiet` seconds, or for a minute."""
        assert self.socket is not None
        frames, deadline = [], time.monotonic() + 60
        self.socket.settimeout(quiet)
        try:
            while time.monotonic() < deadline:
                frames.append(self.socket.recv(LARGEST))
        except TimeoutError:
            pass
        finally:
            self.socket.settimeout(ANSWER)
        return frames

    def waiting(self) -> Iterator[bytes]:
        """The frames that are there now."""
        with suppress(BlockingIOError):
            while True:
                yield self.instant.recv(LARGEST)


@contextmanager
def wire(connect: bool = True) -> Iterator[Wire]:
    """A wire; with `connect` its near end is taken by the caller, otherwise left to another process."""
    with tempfile.TemporaryDirectory(prefix="exo-") as folder:  # the path of a unix socket must be short
        cable = Wire(Path(folder))
        try:
            if connect:
                cable.open()
            yield cable
        finally:
            cable.close()
