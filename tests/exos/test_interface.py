# SPDX-License-Identifier: MIT
"""The network from the frame up, as whole hosts in memory: any bytes at all get the answer that `packets` derives from
the RFCs, ARP learns and asks as RFC 826 says, and every frame is counted once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import packets
from tests.exos import stacks
from tests.exos.ways import WAYS, memory
from tests.packets import BROADCAST, GUEST, PEER, Host

from exokernel.exos.net import arp
from exokernel.exos.net.drop import Drop

FUNCTIONS = [
    stacks.reset, stacks.inject, stacks.sent, stacks.carry, stacks.ask_from_right, stacks.answer, stacks.let_pass,
    stacks.left_dropped, stacks.right_dropped, stacks.left_neighbour, stacks.totals, stacks.join_fragments,
]  # fmt: skip


class Hosts:
    """`stacks` run one way, with frames as bytes."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.module.reset()

    def answers(self, frame: bytes) -> list[bytes]:
        """What `left` sends when `frame` arrives."""
        count = self.module.inject(memory(frame))
        return [self._sent() for _ in range(count)]

    def _sent(self) -> bytes:
        buffer = memory(bytes(1514))
        length = self.module.sent(buffer)
        return bytes(buffer)[:length]

    def answered(self) -> bytes:
        """The last datagram that `right` got."""
        buffer = memory(bytes(1514))
        length = self.module.answer(buffer)
        return bytes(buffer)[:length]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(self.module, name)


@cache
def compiled(way: str) -> Any:
    return WAYS[way](*FUNCTIONS)


@pytest.fixture(params=list(WAYS))
def hosts(request: pytest.FixtureRequest) -> Hosts:
    return Hosts(compiled(request.param))


@pytest.fixture
def fast() -> Hosts:
    """For many frames."""
    return Hosts(compiled("native"))


def address(text: str) -> int:
    return int.from_bytes(bytes(map(int, text.split("."))), "big")


def one(frame: bytes | None) -> list[bytes]:
    return [] if frame is None else [frame]


def test_answers_udp_ping_and_arp(hosts: Hosts) -> None:
    for frame in (packets.udp_frame(b"hello"), packets.ping_frame(b"hello"), packets.arp_request()):
        answer = packets.expected_answer(frame)
        assert answer is not None
        assert hosts.answers(frame) == [answer]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 17, 18, 19, 1471, 1472])
def test_every_length_of_payload(hosts: Hosts, length: int) -> None:
    data = bytes(i & 0xFF for i in range(length))
    for frame in (packets.udp_frame(data), packets.ping_frame(data)):
        assert hosts.answers(frame) == one(packets.expected_answer(frame)) != []


def test_options_are_skipped(hosts: Hosts) -> None:
    for options in (4, 20, 40):
        frame = packets.udp_frame(b"with options", options=options)
        assert hosts.answers(frame) == one(packets.expected_answer(frame)) != []


def test_no_checksum_is_allowed(hosts: Hosts) -> None:
    datagram = packets.udp(PEER.address, GUEST.address, 40000, 7, b"unchecked", checksum=0)
    frame = packets.ipv4_frame(17, datagram)
    assert hosts.answers(frame) == one(packets.expected_answer(frame)) != []


def test_a_time_to_live_at_its_end_is_welcome(hosts: Hosts) -> None:
    for ttl in (0, 1):
        assert len(hosts.answers(packets.udp_frame(b"old", ttl=ttl))) == 1


def test_a_closed_port_is_told(hosts: Hosts) -> None:
    for options in (0, 40):
        frame = packets.udp_frame(b"anybody there?", port=9, options=options)
        assert hosts.answers(frame) == one(packets.expected_answer(frame)) != []
    assert hosts.left_dropped(Drop.UDP_PORT) == 2


def test_broken_frames_are_not_answered(hosts: Hosts) -> None:
    good = packets.udp_frame(b"still there?")
    for name, frame in packets.broken_frames():
        assert packets.expected_answer(frame) is None, f"the test itself is wrong: {name}"
        assert hosts.answers(frame) == [], name
        assert hosts.answers(good) == one(packets.expected_answer(good)), name


def test_truncated_frames_are_not_answered(fast: Hosts) -> None:
    for name, frame in packets.truncated_frames():
        assert fast.answers(frame) == [], name
    for length in (0, 13, 1515, 1516, 2040):
        assert fast.answers(packets.udp_frame(b"x" * 1472).ljust(2040, b"\0")[:length]) == []
    assert fast.left_dropped(Drop.ETHERNET_LENGTH) >= 5


def test_every_reason_has_its_counter(fast: Hosts) -> None:
    for _, frame in [*packets.broken_frames(), *packets.truncated_frames()]:
        fast.answers(frame)
    fast.answers(packets.udp_frame(b"x", port=9))
    assert [reason.name for reason in Drop if 0 < reason <= Drop.UDP_PORT and fast.left_dropped(reason) == 0] == []


@pytest.mark.parametrize("seed", range(5))
def test_random_frames(fast: Hosts, seed: int) -> None:
    for i, frame in enumerate(packets.random_frames(seed, 4000)):
        expected = one(packets.expected_answer(frame))
        assert fast.answers(frame) == expected, f"frame {i} of seed {seed}: {frame.hex()}"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=st.binary(min_size=14, max_size=200), start=st.sampled_from([0, 6, 14, 23, 24, 34, 42]))
def test_any_bytes(fast: Hosts, frame: bytes, start: int) -> None:
    frame = packets.udp_frame(b"")[:start] + frame
    assert fast.answers(frame) == one(packets.expected_answer(frame))


def test_python_agrees_with_the_compiled_code() -> None:
    native, python = Hosts(compiled("native")), Hosts(compiled("python"))
    for frame in packets.random_frames(99, 150):
        assert native.answers(frame) == python.answers(frame), frame.hex()
    assert native.totals() == tuple(python.totals())


def test_every_frame_is_counted_once(fast: Hosts) -> None:
    frames = [f for f in packets.random_frames(7, 2000) if f[12:14] != b"\x08\x06"]
    for frame in frames:
        fast.answers(frame)
    received, delivered, dropped = fast.totals()
    assert received == len(frames)
    assert delivered + dropped == received
    assert delivered > 0


def test_arp_learns_only_what_rfc_826_says(hosts: Hosts) -> None:
    stranger = Host(bytes.fromhex("0200000000bb"), bytes([10, 0, 0, 9]))
    hosts.answers(packets.arp_request(stranger, bytes([10, 0, 0, 77])))
    assert hosts.left_neighbour(address("10.0.0.9")) == 0, "a question to somebody else teaches nothing new"
    hosts.answers(packets.arp_request(stranger))
    assert hosts.left_neighbour(address("10.0.0.9")) == 0x0200000000BB
    moved = Host(bytes.fromhex("0200000000cc"), stranger.address)
    hosts.answers(packets.arp_request(moved, bytes([10, 0, 0, 77])))
    assert hosts.left_neighbour(address("10.0.0.9")) == 0x0200000000CC, "a known neighbour is updated by any packet"
    hosts.answers(packets.udp_frame(b"x", sender=Host(bytes.fromhex("0200000000dd"), stranger.address)))
    assert hosts.left_neighbour(address("10.0.0.9")) == 0x0200000000CC, "only ARP teaches"


def test_a_probe_is_answered_and_not_learnt(hosts: Hosts) -> None:
    probe = packets.arp_request(Host(PEER.station, bytes(4)))
    assert hosts.answers(probe) == one(packets.expected_answer(probe)) != []
    assert hosts.left_neighbour(0) == 0


def test_somebody_with_our_address_is_counted(hosts: Hosts) -> None:
    assert hosts.answers(packets.arp_request(Host(PEER.station, GUEST.address))) == []
    assert hosts.left_dropped(Drop.ARP_CONFLICT) == 1


def test_the_table_is_bounded(hosts: Hosts) -> None:
    for number in range(10, 60):
        hosts.let_pass(1)
        hosts.answers(packets.arp_request(Host(PEER.station, bytes([10, 0, 0, number]))))
    known = [number for number in range(256) if hosts.left_neighbour(address(f"10.0.0.{number}"))]
    assert known == [56, 57, 58, 59], "the oldest made place"


def test_a_datagram_finds_its_way_through_arp(hosts: Hosts) -> None:
    assert hosts.ask_from_right(address("10.0.0.2"), 7, memory(b"who are you?"))
    assert hosts.carry() == 4, "request, reply, datagram, echo"
    assert hosts.answered() == b"who are you?"
    assert hosts.ask_from_right(address("10.0.0.2"), 7, memory(b"again"))
    assert hosts.carry() == 2, "datagram, echo"
    assert hosts.answered() == b"again"


def test_a_known_neighbour_is_asked_again_after_its_time(hosts: Hosts) -> None:
    hosts.ask_from_right(address("10.0.0.2"), 7, memory(b"one"))
    hosts.carry()
    hosts.let_pass(arp.LIFETIME * stacks.SECOND)
    hosts.ask_from_right(address("10.0.0.2"), 7, memory(b"two"))
    assert hosts.carry() == 4


def test_nobody_answers_and_the_frame_is_lost_and_counted(hosts: Hosts) -> None:
    assert hosts.ask_from_right(address("10.0.0.3"), 7, memory(b"first"))
    assert hosts.ask_from_right(address("10.0.0.3"), 7, memory(b"second"))
    assert hosts.right_dropped(Drop.SEND_NEIGHBOUR) == 1, "one waits, the latest"
    asked = hosts.carry()
    for _ in range(10):
        hosts.let_pass(stacks.SECOND // 2)
        asked += hosts.carry()
    assert asked == arp.ATTEMPTS
    assert hosts.right_dropped(Drop.SEND_NEIGHBOUR) == 2
    hosts.let_pass(100 * stacks.SECOND)
    assert hosts.carry() == 0


def test_what_is_far_away_goes_to_the_gateway(hosts: Hosts) -> None:
    hosts.ask_from_right(address("192.168.7.7"), 7, memory(b"far"))
    hosts.carry()
    assert hosts.right_dropped(Drop.SEND_NEIGHBOUR) == 0
    for _ in range(4):
        hosts.let_pass(stacks.SECOND)
        hosts.carry()
    assert hosts.right_dropped(Drop.SEND_NEIGHBOUR) == 1, "the gateway 10.0.0.254 does not exist here"


def test_a_broadcast_needs_no_neighbour_and_gets_no_answer(hosts: Hosts) -> None:
    for to in ("255.255.255.255", "10.0.0.255"):
        assert hosts.ask_from_right(address(to), 7, memory(b"everybody"))
        assert hosts.carry() == 1
    assert hosts.left_dropped(Drop.IPV4_DESTINATION) == 2


def test_nobody_is_sent_an_answer_at_port_0(hosts: Hosts) -> None:
    assert hosts.answers(packets.udp_frame(b"one way", source_port=0)) == []
    assert hosts.left_dropped(Drop.SEND_PORT) == 1


def test_too_long_for_a_frame(hosts: Hosts) -> None:
    assert not hosts.ask_from_right(address("10.0.0.2"), 7, memory(bytes(1473)))
    assert hosts.right_dropped(Drop.SEND_LENGTH) == 1


def test_a_device_without_room_is_counted(fast: Hosts) -> None:
    for _ in range(stacks.FRAMES + 3):
        fast.inject(memory(packets.udp_frame(b"x")))
    assert fast.left_dropped(Drop.SEND_BUSY) == 3


def test_padding_carries_nothing(hosts: Hosts) -> None:
    secret = packets.udp_frame(b"secret" * 100)
    hosts.answers(secret)
    (answer,) = hosts.answers(packets.udp_frame(b""))
    assert answer == packets.expected_answer(packets.udp_frame(b""))
    assert answer[42:] == bytes(18)


def test_the_model_knows_silence_from_answers() -> None:
    """The judge is judged: good frames have an answer, the broken ones none."""
    assert packets.expected_answer(packets.udp_frame(b"x")) is not None
    assert packets.expected_answer(BROADCAST + packets.udp_frame(b"x")[6:]) is None


# Fragments


def pieces_of(data: bytes, sizes: list[int], identification: int = 7, protocol: int = 17) -> list[bytes]:
    """The frames of a datagram to the echo service, cut into pieces of these sizes and the rest."""
    body = packets.udp(PEER.address, GUEST.address, 40000, 7, data) if protocol == 17 else data
    frames, start = [], 0
    for size in [*sizes, len(body)]:
        piece = body[start : start + size]
        more = 0x2000 if start + len(piece) < len(body) else 0
        fields = {"fragment": more | start // 8, "identification": identification}
        frames.append(packets.ipv4_frame(protocol, piece, **fields))
        start += len(piece)
        if not more:
            break
    return frames


@pytest.mark.parametrize("sizes", [[8], [1000], [16, 8, 24], [8] * 100])
def test_fragments_in_any_order(hosts: Hosts, sizes: list[int]) -> None:
    hosts.join_fragments()
    data = bytes(i & 0xFF for i in range(1200))
    expected = packets.expected_answer(packets.udp_frame(data))
    for seed in range(3):
        frames = pieces_of(data, sizes, identification=seed)
        random.Random(seed).shuffle(frames)
        assert [answer for frame in frames for answer in hosts.answers(frame)] == [expected]


def test_a_joined_datagram_may_be_too_long_to_answer(hosts: Hosts) -> None:
    hosts.join_fragments()
    assert [a for f in pieces_of(bytes(5000), [1480] * 3) for a in hosts.answers(f)] == []
    assert hosts.left_dropped(Drop.SEND_LENGTH) == 1
    ping = packets.icmp(8, 0, bytes(3000))
    assert [a for f in pieces_of(ping, [1480] * 2, protocol=1) for a in hosts.answers(f)] == []
    assert hosts.left_dropped(Drop.SEND_LENGTH) == 2


def test_overlapping_fragments_are_dropped(hosts: Hosts) -> None:
    """The teardrop and its relatives: nobody may write a byte twice, and the whole datagram goes."""
    hosts.join_fragments()
    first, second, third = pieces_of(bytes(600), [200, 200])
    for frames in ((first, second, second, third), (second, first, first, third), (third, first, third, second)):
        assert [a for f in frames for a in hosts.answers(f)] == []
        hosts.module.join_fragments()
    for fragment in (0x2000 | 1, 24, 0x2000 | 24, 0x1FFF, 0x3FFF, 0x2000 | 1023, 1024):
        odd = packets.ipv4_frame(17, bytes(64), fragment=fragment, identification=7)
        assert [a for f in (first, odd) for a in hosts.answers(f)] == []
        hosts.module.join_fragments()
    good = packets.udp_frame(b"still there?")
    assert hosts.answers(good) == one(packets.expected_answer(good))


def test_fragments_do_not_mix(hosts: Hosts) -> None:
    hosts.join_fragments()
    a, b = pieces_of(b"a" * 600, [304], 1), pieces_of(b"b" * 600, [304], 2)
    assert hosts.answers(a[0]) == hosts.answers(b[0]) == []
    assert hosts.answers(b[1]) == one(packets.expected_answer(packets.udp_frame(b"b" * 600)))
    assert hosts.answers(a[1]) == one(packets.expected_answer(packets.udp_frame(b"a" * 600)))


def test_the_table_of_fragments_is_bounded_and_forgets(hosts: Hosts) -> None:
    hosts.join_fragments()
    first, last = pieces_of(b"x" * 600, [304])
    hosts.answers(first)
    for number in range(10, 20):
        hosts.let_pass(1)
        hosts.answers(pieces_of(b"y" * 600, [304], number)[0])
    assert hosts.answers(last) == [], "it made place"
    hosts.module.join_fragments()
    hosts.answers(first)
    hosts.let_pass(31_000)
    assert hosts.answers(last) == [], "half a minute is over"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.integers(0, 200), st.integers(0, 1)), max_size=30))
def test_any_fragments(fast: Hosts, pieces: list[tuple[int, int, int]]) -> None:
    fast.join_fragments()
    for fragment, length, identification in pieces:
        fast.answers(packets.ipv4_frame(17, bytes(length), fragment=fragment, identification=identification))
    good = packets.udp_frame(b"still there?")
    assert fast.answers(good) == one(packets.expected_answer(good))
