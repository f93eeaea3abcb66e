# SPDX-License-Identifier: MIT
"""TCP as two whole hosts and a network that loses, doubles, reorders and delays, under a virtual clock: every stream
arrives exactly, both ends forget it, and no buffer stays behind.
"""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exos import tcp_stacks
from tests.exos.ways import WAYS, memory

from exokernel.exos import tcp
from exokernel.metal import sizeof

FUNCTIONS = [
    tcp_stacks.reset, tcp_stacks.connect, tcp_stacks.inject, tcp_stacks.tick, tcp_stacks.deadline, tcp_stacks.sent,
    tcp_stacks.results, tcp_stacks.counts, tcp_stacks.eat_on,
]  # fmt: skip
MILLISECOND = 1000
HOURS = 3600 * 10**6
NEVER = 2**64 - 1


@cache
def compiled(way: str) -> Any:
    return WAYS[way](*FUNCTIONS)


@dataclass(frozen=True)
class Weather:
    """What the network does: chances, and times in microseconds."""

    loss: float = 0
    doubling: float = 0
    delay: int = 1000
    jitter: int = 0
    damage: float = 0
    rate: int = 0  # microseconds that a frame takes on the wire
    queue: int = 10**9  # frames that may wait for it


class World:
    """Two hosts, the wire between them and the clock."""

    def __init__(
        self, way: str, weather: Weather, seed: int, to_right: int, to_left: int, *, connections: int = 1,
        buffer: int = 16384, pieces: int = 64, rows: int = 64, bite: int = 0,
    ) -> None:  # fmt: skip
        self.module, self.weather, self.chance = compiled(way), weather, random.Random(seed)
        self.connections, self.rows, self.pieces, self.bite = connections, rows, pieces, bite
        self.now, self.free_at, self.frames = 10**6, [0, 0], 0
        self.flying: list[tuple[int, int, int, bytes]] = []
        self.order = itertools.count()
        self.read_at = NEVER  # when a slow reader takes its next bite
        self.module.reset(to_right, to_left, buffer, pieces, rows, bite)
        for _ in range(connections):
            assert self.module.connect()
        self.take()

    def take(self) -> None:
        """What the hosts have sent is on its way, or not."""
        buffer = memory(bytes(1514))
        while True:
            length, side = self.module.sent(buffer)
            if length == 0:
                return
            self.frames += 1
            frame, weather = bytes(buffer)[:length], self.weather
            arp = frame[12:14] == b"\x08\x06"  # gives up after three; it is not what is tried here
            for _ in range(2 if self.chance.random() < weather.doubling else 1):
                if self.chance.random() < weather.loss and not arp:
                    continue
                start = max(self.now, self.free_at[side])
                if weather.rate and (start - self.now) // weather.rate > weather.queue:
                    continue
                self.free_at[side] = start + weather.rate
                when = start + weather.rate + weather.delay + self.chance.randrange(weather.jitter + 1)
                if self.chance.random() < weather.damage and not arp:
                    changed = bytearray(frame)
                    changed[self.chance.randrange(14, len(frame))] ^= 1 << self.chance.randrange(8)
                    heapq.heappush(self.flying, (when, next(self.order), 1 - side, bytes(changed)))
                else:
                    heapq.heappush(self.flying, (when, next(self.order), 1 - side, frame))

    def step(self) -> bool:
        """The next thing happens; False when nothing will."""
        due = self.module.deadline()
        arrival = self.flying[0][0] if self.flying else NEVER
        first = min(due, arrival, self.read_at)
        if first == NEVER:
            return False
        self.now = max(self.now, first)
        if self.read_at == first:
            pass
        elif arrival <= due:
            _, _, side, frame = heapq.heappop(self.flying)
            self.module.inject(side, memory(frame), self.now)
        else:
            assert self.module.tick(self.now) > self.now, "the clock stands still"
        if self.bite and (self.read_at in (first, NEVER)):
            self.read_at = self.now + MILLISECOND if self.module.eat_on() else NEVER
        self.take()
        return True

    def run(self) -> None:
        """Until nothing more will happen, then look."""
        for turn in range(2_000_000):
            if not self.step():
                break
            assert self.now < 20 * HOURS, f"no end after {turn} turns"
        wrong, ended, short, lost = self.module.results()
        assert (wrong, short, lost) == (0, 0, 0)
        assert ended == 2 * self.connections
        for side in (0, 1):
            opened, _, rows, pieces = self.module.counts(side)
            assert (opened, rows, pieces) == (self.connections, self.rows, self.pieces)


CALM = Weather()
WEATHERS = {
    "calm": CALM,
    "loss": Weather(loss=0.05),
    "heavy loss": Weather(loss=0.25, delay=5000),
    "doubling": Weather(doubling=0.3, jitter=500),
    "reordering": Weather(jitter=20_000),
    "far": Weather(delay=300_000, jitter=100_000),
    "damage": Weather(damage=0.05),
    "a narrow queue": Weather(rate=1200, queue=8, delay=10_000),
    "all of it": Weather(loss=0.08, doubling=0.08, jitter=30_000, delay=20_000, damage=0.03),
}


@pytest.mark.parametrize("weather", WEATHERS.values(), ids=list(WEATHERS))
@pytest.mark.parametrize("size", [0, 1, 1460, 1461, 16384, 100_000])
def test_streams_arrive_exactly(weather: Weather, size: int) -> None:
    for seed in range(3):
        World("native", weather, seed, size, size // 3).run()
        World("native", weather, seed, 0, size).run()


@pytest.mark.parametrize("name", [name for name in WEATHERS if name != "heavy loss"])
def test_many_connections_at_once(name: str) -> None:
    """More than may be half open, so many of them begin with SYN cookies. (In heavy loss one may not open at all.)"""
    weather = WEATHERS[name]
    World("native", weather, 1, 3000, 20_000, connections=40).run()


def test_more_connections_than_buffers() -> None:
    """Who finds no buffer waits for one; what arrives and finds none is sent again."""
    for seed in range(3):
        World("native", Weather(loss=0.02), seed, 30_000, 30_000, connections=20, pieces=5, buffer=4096).run()


@pytest.mark.parametrize("bite", [1, 100, 1459])
def test_a_slow_reader(bite: int) -> None:
    """The window closes and opens again, and nobody waits for ever."""
    size = 20_000 if bite == 1 else 200_000
    for seed in range(3):
        World("native", Weather(loss=0.02, jitter=3000), seed, size, 0, bite=bite, buffer=4096).run()


@pytest.mark.parametrize("buffer", [2048, 4096, 65535, 65536])
def test_every_size_of_buffer(buffer: int) -> None:
    for weather in (CALM, WEATHERS["all of it"]):
        World("native", weather, 5, 150_000, 60_000, buffer=buffer).run()


def test_it_is_fast_on_a_good_wire() -> None:
    """A megabyte with 10 ms between the hosts: the window, not a timer, is what it waits for."""
    world = World("native", Weather(delay=5000), 1, 1 << 20, 0, buffer=65536)
    world.run()
    assert world.frames < 1.7 * (1 << 20) / 1460
    assert world.module.counts(0)[1] == 0, "nothing was sent twice"


def test_selective_acknowledgments_save_what_has_arrived() -> None:
    """One loss in a hundred: little more is sent again than was lost."""
    world = World("native", Weather(delay=20_000, loss=0.01), 3, 2 << 20, 0, buffer=65536)
    world.run()
    segments = (2 << 20) / 1460
    assert world.module.counts(0)[1] < 0.03 * segments


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 30_000), st.integers(0, 30_000), st.integers(0, 2**32), st.sampled_from([2048, 5000, 16384]),
    st.builds(
        Weather, loss=st.floats(0, 0.3), doubling=st.floats(0, 0.3), delay=st.integers(0, 200_000),
        jitter=st.integers(0, 200_000), damage=st.floats(0, 0.1),
    ), st.integers(1, 4),
)  # fmt: skip
def test_any_weather(to_right: int, to_left: int, seed: int, buffer: int, weather: Weather, connections: int) -> None:
    """At the worst a connection is given up, as RFC 9293 section 3.8.3 has it; what arrives is right all the same."""
    world = World("native", weather, seed, to_right, to_left, connections=connections, buffer=buffer)
    for _ in range(2_000_000):
        if not world.step():
            break
    wrong, ended, short, lost = world.module.results()
    assert (wrong, short) == (0, 0)
    if weather.loss + weather.damage < 0.15:
        assert (ended, lost) == (2 * connections, 0)
    for side in (0, 1):
        assert world.module.counts(side)[2:] == (64, 64)


@pytest.mark.parametrize("name", ["calm", "all of it"])
def test_python_agrees_with_the_compiled_code(name: str) -> None:
    worlds = [World(way, WEATHERS[name], 7, 3000, 500, buffer=2048, rows=4, pieces=8) for way in WAYS]
    for world in worlds:
        world.run()
    assert worlds[0].frames == worlds[1].frames and worlds[0].now == worlds[1].now


def test_an_idle_connection_is_small() -> None:
    assert sizeof(tcp.Connection) <= 400
