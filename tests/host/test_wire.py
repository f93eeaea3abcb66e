# SPDX-License-Identifier: MIT
"""Our end of a raw link."""

from __future__ import annotations

import socket
import threading

from exokernel.host.wire import ANSWER, wire


def test_a_wire_drops_where_nobody_takes_the_frames() -> None:
    """`send_or_drop` waited as `send` does, since a socket with a time-out waits whatever a single call says: the flood of
    the tests was as slow as the guest.
    """
    with wire() as cable, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as far:
        far.bind(str(cable.remote))
        flood = threading.Thread(target=lambda: [cable.send_or_drop(b"x" * 60) for _ in range(10_000)], daemon=True)
        flood.start()
        flood.join(ANSWER)
        assert not flood.is_alive(), "a thousand times the time-out would not be enough"
        far.setblocking(False)
        came = 0
        try:
            while far.recv(100):
                came += 1
        except BlockingIOError:
            pass
        assert 0 < came < 10_000


def test_what_is_waiting_is_taken_without_waiting() -> None:
    with wire() as cable, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as far:
        assert list(cable.waiting()) == []
        for i in range(3):
            far.sendto(b"%d" % i, str(cable.local))
        assert list(cable.waiting()) == [b"0", b"1", b"2"]
