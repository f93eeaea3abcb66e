# SPDX-License-Identifier: MIT
"""Small parts of the network on their own: the Redis protocol's parser against a generator of commands and any bytes,
SipHash against its authors' vector, sequence numbers against arithmetic.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exos.ways import WAYS, memory

from exokernel.exos.net import resp
from exokernel.exos.net.resp import Command
from exokernel.exos.net.tcp import siphash
from exokernel.exos.net.tcp.sequence import Sequence
from exokernel.metal import Span, u8, u32


def parse(data: Span[u8], places: Span[u8]) -> tuple[u8, u32, u32]:
    """In the dialect: the result, how many words, the command's length; where the words are, in two bytes each."""
    command = Command()
    result = resp.parse(data, command)
    for i in range(command.count):
        places[4 * i] = u8(command.start[i])
        places[4 * i + 1] = u8(command.start[i] >> 8)
        places[4 * i + 2] = u8(command.end[i])
        places[4 * i + 3] = u8(command.end[i] >> 8)
    return result, command.count, command.length


def compare(a: u32, b: u32, length: u32) -> tuple[bool, bool, bool, u32]:
    first, second = Sequence(a), Sequence(b)
    return first.before(second), first.after(second), first.within(second, length), first.plus(length).since(second)


@cache
def compiled(way: str) -> Any:
    return WAYS[way](parse, compare, siphash.of_words)


def words(way: str, data: bytes) -> tuple[int, list[bytes], int]:
    places = memory(bytes(4 * resp.WORDS))
    result, count, length = compiled(way).parse(memory(data), places)
    numbers = [int.from_bytes(bytes(places)[i : i + 2], "little") for i in range(0, 4 * count, 2)]
    return int(result), [data[a:b] for a, b in zip(numbers[::2], numbers[1::2], strict=True)], int(length)


WORDS = st.lists(st.binary(max_size=40), min_size=1, max_size=resp.WORDS)


@pytest.mark.parametrize("way", WAYS)
@settings(deadline=None)
@given(WORDS, st.binary(max_size=20))
def test_a_command_and_what_follows(way: str, command: list[bytes], rest: bytes) -> None:
    text = b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in command)
    assert words(way, text + rest) == (resp.OK, command, len(text))
    for end in range(len(text)):
        assert words("native", text[:end])[0] == resp.INCOMPLETE


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"GET", b"k", b"*1", b"$3", b"12345"]), min_size=1, max_size=5),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_words_on_a_line(command: list[bytes], end: bytes) -> None:
    text = b" " + b"  ".join(command) + b" " + end
    assert words("native", text + b"next") == (resp.OK, command, len(text))


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([b"*", b"$", b"\r\n", b"1", b"99999999999", b"-1", b"GET", b"\0", b" ", b"\n"]), max_size=20
    )
)
def test_any_bytes(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    native, python = (words(way, data) for way in WAYS)
    assert native[0] == python[0] and native[0] in (resp.INCOMPLETE, resp.OK, resp.MALFORMED, resp.TOO_LARGE)
    if native[0] == resp.OK:
        assert native == python and native[2] <= len(data)


@pytest.mark.parametrize("way", WAYS)
def test_siphash(way: str) -> None:
    """The vector for sixteen bytes, 00 to 0f, of Aumasson and Bernstein's reference."""
    low, high = 0x0706050403020100, 0x0F0E0D0C0B0A0908
    assert compiled(way).of_words(low, high, low, high) == 0x3F2ACC7F57C29BDB


@pytest.mark.parametrize("way", WAYS)
@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-(2**31) + 1, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_sequence_numbers(way: str, start: int, distance: int, length: int) -> None:
    other = (start + distance) % 2**32
    before, after, within, since = compiled(way).compare(start, other, length)
    assert (before, after) == (distance > 0, distance < 0)
    assert within == ((start - other) % 2**32 < length)
    assert since == (length - distance) % 2**32
