# SPDX-License-Identifier: MIT
"""What a server in a guest works for its clients, in instructions of kernel and library together, and what the exhibits
that measure servers have in common.

Under `-icount shift=0` the time-stamp counter counts instructions. The server's loop never sleeps and counts the turns in
which it found nothing to do; on a port of its own it tells both numbers to whoever connects. What clients cost is the
counter's way less such turns, at their own price, and less what the asking costs; both are found while nothing happens.
"""

import socket
import time
from collections.abc import Callable

REST = 0.5  # seconds in which only turns are counted
PATIENCE = 20.0  # seconds for any answer


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connect(port: int) -> socket.socket:
    """A connection that does not wait for company for what it sends."""
    found = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def look(port: int) -> tuple[int, int]:
    """What the server tells on that port: the counter, and the turns in which nothing was to do."""
    with connect(port) as connection, connection.makefile() as file:
        counter, turns = file.read().split()
        return int(counter), int(turns)


class Work:
    """The server that tells its numbers on `port`."""

    def __init__(self, port: int) -> None:
        self.port = port
        start, asked, rested = self.look(), self.look(), self._after_a_rest()
        first = asked[0] - start[0], asked[1] - start[1]
        second = rested[0] - asked[0], rested[1] - asked[1]
        self.turn = (second[0] - first[0]) / (second[1] - first[1])
        self.asking = first[0] - self.turn * first[1]

    def look(self) -> tuple[int, int]:
        """The counter, and the turns in which nothing was to do."""
        return look(self.port)

    def _after_a_rest(self) -> tuple[int, int]:
        time.sleep(REST)
        return self.look()

    def each(self, runs: int, times: int, action: Callable[[], None]) -> list[float]:
        """For each of so many runs of `action`, which asks so many times: what once costs."""
        return [self.of(action) / times for _ in range(runs)]

    def of(self, action: Callable[[], None]) -> float:
        """Instructions that the guest needs for what `action` asks of it."""
        before = self.look()
        action()
        after = self.look()
        return after[0] - before[0] - self.turn * (after[1] - before[1]) - self.asking
