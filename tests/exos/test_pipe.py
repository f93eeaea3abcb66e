# SPDX-License-Identifier: MIT
"""The ring of a pipe, as arithmetic on numbers that a hostile partner may have chosen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.exos.ways import WAYS, memory

from exokernel.exos import pipe
from exokernel.exos.pipe import BROKEN, CAPACITY, CLOSED, CORRUPT, FIRST, End, Ring
from exokernel.metal import Ptr, Span, addr, i64, sizeof, u8, u64

GUARD = 64
EVERYTHING = (1 << 64) - 1


def readable(written: u64, count: u64) -> i64:
    return pipe.readable(written, count)


def writable(taken: u64, count: u64) -> i64:
    return pipe.writable(taken, count)


def put_bytes(area: Span[u8], count: u64, data: Span[u8]) -> u64:
    """`pipe.copy_in` at this count, into the ring in the middle of `area`; the count afterwards."""
    end = End(Ptr[Ring](u64(addr(area[GUARD]))), 0, count)
    pipe.copy_in(end, data)
    return end.count


def get_bytes(area: Span[u8], count: u64, data: Span[u8]) -> u64:
    end = End(Ptr[Ring](u64(addr(area[GUARD]))), 0, count)
    pipe.copy_out(end, data)
    return end.count


@pytest.fixture(scope="module", params=WAYS)
def ring(request: pytest.FixtureRequest) -> Any:
    return WAYS[request.param](readable, writable, put_bytes, get_bytes)


COUNTS = st.integers(FIRST, FIRST + 10 * CAPACITY) | st.integers(FIRST, CLOSED - 2 * CAPACITY)
NONSENSE = st.integers(0, EVERYTHING)


@given(count=COUNTS, written=NONSENSE)
@example(count=FIRST, written=0)
@example(count=FIRST, written=EVERYTHING)
@example(count=FIRST, written=FIRST | CLOSED)
@example(count=FIRST, written=(FIRST + CAPACITY + 1) | CLOSED)
def test_a_reader_believes_no_more_than_a_ring(ring: Any, count: int, written: int) -> None:
    there = (written & (CLOSED - 1)) - count
    expected = CORRUPT if not 0 <= there <= CAPACITY else BROKEN if there == 0 and written & CLOSED else there
    assert ring.readable(written, count) == expected


@given(count=COUNTS, taken=NONSENSE)
@example(count=FIRST, taken=0)
@example(count=FIRST, taken=CLOSED)
def test_a_writer_believes_no_more_than_a_ring(ring: Any, count: int, taken: int) -> None:
    there = count - taken
    expected = CAPACITY - there if 0 <= there <= CAPACITY else BROKEN if taken & CLOSED else CORRUPT
    assert ring.writable(taken, count) == expected


@given(distance=st.integers(0, CAPACITY))
def test_both_sides_agree_on_what_is_there(ring: Any, distance: int) -> None:
    assert ring.readable(FIRST + distance, FIRST) == distance
    assert ring.writable(FIRST, FIRST + distance) == CAPACITY - distance


def test_a_page_of_zeros_is_no_ring(ring: Any) -> None:
    """It takes the place of a ring whose owner has ended."""
    assert ring.writable(0, FIRST) == CORRUPT


@given(count=COUNTS, data=st.binary(min_size=1, max_size=CAPACITY))
@example(count=FIRST + CAPACITY - 1, data=b"around the edge")
@example(count=FIRST, data=bytes(range(256)) * 8)
def test_bytes_stay_in_the_ring_and_come_out_as_they_went_in(ring: Any, count: int, data: bytes) -> None:
    area = memory(b"\xee" * (GUARD + sizeof(Ring) + CAPACITY + GUARD))
    assert ring.put_bytes(area, count, memory(data)) == count + len(data)
    after = bytes(area)
    assert after[:GUARD] == after[-GUARD:] == b"\xee" * GUARD
    assert int.from_bytes(after[GUARD : GUARD + 8], "little") == count + len(data)
    untouched = after[GUARD + sizeof(Ring) : -GUARD].count(0xEE)
    assert untouched >= CAPACITY - len(data)
    got = memory(bytes(len(data)))
    assert ring.get_bytes(area, count, got) == count + len(data)
    assert bytes(got) == data
