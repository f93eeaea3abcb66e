# SPDX-License-Identifier: MIT
"""TCP as two whole hosts and a network that loses, doubles, reorders and delays, under a virtual clock: every stream
arrives exactly, both ends forget it, and no buffer stays behind.
"""

from __future__ import annotations

import heapq
import itertools
import random
import struct
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import packets
from tests.exos import tcp_stacks
from tests.exos.ways import WAYS, memory

from exokernel.exos.net import tcp
from exokernel.exos.net.tcp.states import (
    AFTER_ACKNOWLEDGED,
    AFTER_OURS,
    AFTER_THEIRS,
    RECEIVE,
    SEND,
    WRITE,
    State,
    allows,
)  # fmt: skip
from exokernel.metal import sizeof

FUNCTIONS = [
    tcp_stacks.reset, tcp_stacks.connect, tcp_stacks.inject, tcp_stacks.tick, tcp_stacks.deadline, tcp_stacks.sent,
    tcp_stacks.results, tcp_stacks.counts, tcp_stacks.eat_on, tcp_stacks.refuse,
]  # fmt: skip
MILLISECOND = 1000
MINUTE = 60 * 10**6
HOURS = 60 * MINUTE
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


@pytest.mark.parametrize("each", [3, 5, 7])
def test_a_device_without_room(each: int) -> None:
    """What it refuses has not been sent, and is tried again."""
    for seed in range(3):
        world = World("native", WEATHERS["loss"], seed, 30_000, 30_000, connections=3)
        world.module.refuse(each)
        world.run()


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
    """At the worst a connection is given up, as RFC 9293 section 3.8.3 has it; what arrives is right all the same. Who
    loses segment after segment outlives the other's TIME-WAIT of a minute, and is reset in the end.
    """
    world = World("native", weather, seed, to_right, to_left, connections=connections, buffer=buffer)
    for _ in range(2_000_000):
        if not world.step():
            break
    wrong, ended, short, lost = world.module.results()
    assert (wrong, short) == (0, 0)
    if weather.loss + weather.damage < 0.15 and world.now < 2 * MINUTE:
        assert (ended, lost) == (2 * connections, 0)
    for side in (0, 1):
        assert world.module.counts(side)[2:] == (64, 64)


@pytest.mark.parametrize("name", ["calm", "all of it"])
def test_python_agrees_with_the_compiled_code(name: str) -> None:
    worlds = [World(way, WEATHERS[name], 7, 3000, 500, buffer=2048, rows=4, pieces=8) for way in WAYS]
    for world in worlds:
        world.run()
    assert worlds[0].frames == worlds[1].frames and worlds[0].now == worlds[1].now


def test_the_states_change_as_the_rfc_draws_it() -> None:
    """RFC 9293 figure 5, what is behind the handshake: who has ended and heard what is where."""
    ways = {
        "o": "FIN_WAIT_1", "oa": "FIN_WAIT_2", "oat": "TIME_WAIT", "ot": "CLOSING", "ota": "TIME_WAIT",
        "t": "CLOSE_WAIT", "to": "LAST_ACK", "toa": "CLOSED",
    }  # fmt: skip
    after = {"o": AFTER_OURS, "a": AFTER_ACKNOWLEDGED, "t": AFTER_THEIRS}
    for way, name in ways.items():
        state = State.ESTABLISHED
        for step in way:
            state = State(after[step][state])
        assert state.name == name, way
    assert {s.name for s in State if allows(WRITE, s)} == {"SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "CLOSE_WAIT"}
    assert {s.name for s in State if allows(RECEIVE, s)} == {"ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2"}
    sending = {"ESTABLISHED", "FIN_WAIT_1", "CLOSE_WAIT", "CLOSING", "LAST_ACK"}
    assert {s.name for s in State if allows(SEND, s)} == sending


def test_an_idle_connection_is_small() -> None:
    assert sizeof(tcp.Connection) <= 400


# A hostile peer


def hostile(module: Any, side: int, segment: bytes, now: int, source: bytes = b"\x0a\x00\x00\x01") -> list[bytes]:
    """`left` gets a segment; the segments that it answers."""
    frame = packets.ipv4_frame(6, segment, packets.Host(packets.PEER.station, source))
    module.inject(side, memory(frame), now)
    answers, buffer = [], memory(bytes(1514))
    while True:
        length, _ = module.sent(buffer)
        if length == 0:
            return answers
        answer = bytes(buffer)[:length]
        answers.append(answer[34 : 14 + int.from_bytes(answer[16:18], "big")])


SYN, ACK, SYN_ACK, RST = 2, 16, 18, 4
STRANGER = bytes([192, 0, 2, 9])
LARGEST_SEGMENT = bytes([2, 4, 5, 180])


def flood(module: Any, count: int) -> dict[tuple[bytes, int], int]:
    """SYNs from everywhere; the sequence number that each was answered with."""
    answers = {}
    for i in range(count):
        source, port = struct.pack(">I", 0xC0000200 + i % 251 + 1), 1024 + i % 60000
        found = hostile(
            module, 0, packets.segment(source, port, SYN, i * 7919, options=LARGEST_SEGMENT), 2 * 10**6 + i, source
        )
        assert len(found) == 1 and found[0][13] == SYN_ACK
        answers[source, port] = int.from_bytes(found[0][4:8], "big")
    return answers


def test_a_flood_of_syns_keeps_nobody_out() -> None:
    """Thousands of half-open connections: all are answered, few are remembered, and an honest peer gets through."""
    module = compiled("native")
    module.reset(0, 100, 4096, 8, 16, 0)
    flood(module, 5000)
    opened, _, rows, pieces = module.counts(0)
    assert (opened, pieces) == (0, 8) and rows >= 11
    now = 3 * 10**6
    answer = hostile(module, 0, packets.segment(STRANGER, 5555, SYN, 100, options=LARGEST_SEGMENT), now, STRANGER)
    number = int.from_bytes(answer[0][4:8], "big")
    answer = hostile(module, 0, packets.segment(STRANGER, 5555, ACK, 101, number + 1), now + 50_000, STRANGER)
    assert module.counts(0)[0] == 1
    assert [a[13] for a in answer] == [17], "it has nothing to send and says so"


def test_an_honest_peer_with_a_cookie_has_its_stream() -> None:
    module = compiled("native")
    world = World("native", CALM, 1, 20_000, 20_000, connections=1, rows=16)
    module.reset(20_000, 20_000, 4096, 8, 16, 0)
    flood(module, 200)
    module.connect()
    world.connections, world.now = 1, 3 * 10**6
    world.take()
    while world.step():
        pass
    wrong, ended, short, lost = module.results()
    assert (wrong, ended, short, lost) == (0, 2, 0, 0)


def test_a_guessed_cookie_opens_nothing() -> None:
    module = compiled("native")
    module.reset(0, 0, 4096, 8, 16, 0)
    answers = flood(module, 200)
    chance = random.Random(1)
    for _ in range(3000):
        assert (
            hostile(module, 0, packets.segment(STRANGER, 7777, ACK, 5, chance.getrandbits(32)), 3 * 10**6, STRANGER)
            == []
        )
    (source, port), number = list(answers.items())[100]
    for wrong in (number, number + 2, number ^ 1 << 20):  # of this SYN, and not what it was told
        hostile(module, 0, packets.segment(source, port, ACK, 100 * 7919 + 1, wrong), 3 * 10**6, source)
    hostile(module, 0, packets.segment(source, port, ACK, 100 * 7919 + 2, number + 1), 3 * 10**6, source)
    hostile(module, 0, packets.segment(STRANGER, port, ACK, 100 * 7919 + 1, number + 1), 3 * 10**6, STRANGER)
    assert module.counts(0)[0] == 0


def test_a_cookie_grows_old() -> None:
    module = compiled("native")
    for late, opened in ((100, 1), (200, 0)):
        module.reset(0, 0, 4096, 8, 16, 0)
        answers = flood(module, 200)
        (source, port), number = list(answers.items())[100]
        now = (2 + late) * 10**6
        module.tick(now)
        hostile(module, 0, packets.segment(source, port, ACK, 100 * 7919 + 1, number + 1), now, source)
        assert module.counts(0)[0] == opened


def test_half_open_connections_go_away() -> None:
    module = compiled("native")
    module.reset(0, 0, 4096, 8, 16, 0)
    flood(module, 200)
    for second in range(2, 80):
        module.tick(second * 10**6)
        buffer = memory(bytes(1514))
        while module.sent(buffer)[0]:
            pass
    assert module.counts(0)[2:] == (16, 8)


def test_holding_every_row_keeps_out_but_does_no_harm() -> None:
    """Who opens as many connections as there are has them; when they end there is room again."""
    module = compiled("native")
    module.reset(0, 0, 4096, 8, 4, 0)
    for port in range(4):
        answer = hostile(module, 0, packets.segment(STRANGER, 1000 + port, SYN, 0), 2 * 10**6, STRANGER)
        number = int.from_bytes(answer[0][4:8], "big")
        hostile(module, 0, packets.segment(STRANGER, 1000 + port, ACK, 1, number + 1), 2 * 10**6, STRANGER)
    assert module.counts(0)[0] == 4
    assert hostile(module, 0, packets.segment(STRANGER, 2000, SYN, 0), 2 * 10**6, STRANGER) == []
    hostile(module, 0, packets.segment(STRANGER, 1000, RST, 1), 2 * 10**6, STRANGER)
    assert len(hostile(module, 0, packets.segment(STRANGER, 2000, SYN, 0), 2 * 10**6, STRANGER)) == 1


@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_any_segments_at_all(seed: int, stamped: bool) -> None:
    """Segments near the truth and far from it, to one and the same connection: nothing traps, no buffer is lost, and
    afterwards a peer is served.
    """
    module, chance = compiled("native"), random.Random(seed)
    module.reset(3000, 0, 4096, 8, 8, 0)
    ours = theirs = 0
    now = 2 * 10**6
    for turn in range(6000):
        now += chance.choice([0, 10, 10**4, 10**6])
        if turn % 7 == 0:
            module.tick(now)
        flags = chance.choice([ACK, ACK, ACK, 24, SYN, SYN_ACK, RST, 20, 17, 25, chance.getrandbits(6)])
        sequence = theirs + chance.choice([0, 0, 0, 1, -1, 100, chance.randrange(-5000, 5000), chance.getrandbits(32)])
        acknowledgment = ours + chance.choice([0, 0, 1, 1460, chance.randrange(-3000, 5000), chance.getrandbits(32)])
        options = chance.choice([b"", b"", LARGEST_SEGMENT, chance.randbytes(4 * chance.randrange(11))])
        if stamped and chance.random() < 0.9:
            clock = turn + chance.choice([0, 0, 1, -1, chance.getrandbits(32)])
            options = struct.pack(">BBBBII", 1, 1, 8, 10, clock & 0xFFFF_FFFF, chance.getrandbits(32)) + options[:28]
        data = chance.randbytes(chance.choice([0, 0, 1, 100, 1400]))
        port = 3000 + chance.randrange(2)
        text = packets.segment(packets.PEER.address, port, flags, sequence, acknowledgment, data, options)
        for answer in hostile(module, 0, text, now):
            ours = (
                int.from_bytes(answer[4:8], "big") + len(answer) - (answer[12] >> 2) + (answer[13] & 3 != 0)
            ) % 2**32
            if answer[13] & ACK:
                theirs = int.from_bytes(answer[8:12], "big")
    for second in range(400):
        module.tick(now + second * 10**6)
        buffer = memory(bytes(1514))
        while module.sent(buffer)[0]:
            pass
    now += 400 * 10**6
    _, _, rows, pieces = module.counts(0)
    assert 8 - rows <= 2 and 8 - pieces <= 2 * (8 - rows)
    answer = hostile(module, 0, packets.segment(STRANGER, 2000, SYN, 0), now, STRANGER)
    assert len(answer) == 1 and answer[0][13] == SYN_ACK
