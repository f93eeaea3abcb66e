# SPDX-License-Identifier: MIT
"""The parts of both page tables that work on any memory, against a Python dictionary."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exos.ways import WAYS

from exokernel.exos import inverted, linear
from exokernel.metal import Array, Span, addr, u32, u64

SHIFT = 64 - 6  # of a table of 64 places
PLACES = 64


def uniform(entries: Span[u32], first: u64, count: u64, mask: u32, wanted: u32) -> bool:
    return linear.uniform_in(addr(entries[first]), count, mask, wanted)


def alike(entries: Span[u32], first: u64, count: u64, mask: u32) -> u64:
    return linear.alike_in(addr(entries[first]), count, mask)


def change(entries: Span[u32], first: u64, count: u64, keep: u32, bits: u32) -> None:
    linear.change_in(addr(entries[first]), count, keep, bits)


def next_entry(entries: Span[u32], page: u64, end: u64) -> u64:
    return linear.next_in(addr(entries[0]), page, end)


def look(places: Span[u64], shift: u64, page: u64) -> u32:
    return u32(places[inverted.place_of(addr(places[0]), shift, page)])


def store(places: Span[u64], shift: u64, page: u64, entry: u32) -> None:
    places[inverted.place_of(addr(places[0]), shift, page)] = page << 32 | entry


def erase(places: Span[u64], shift: u64, page: u64) -> None:
    inverted.erase_in(addr(places[0]), shift, page)


def enlarge(places: Span[u64], shift: u64, target: Span[u64]) -> None:
    inverted.copy_to(addr(places[0]), shift, addr(target[0]), shift - 1)


@pytest.fixture(scope="module", params=list(WAYS))
def code(request: pytest.FixtureRequest) -> Any:
    return WAYS[request.param](uniform, alike, change, next_entry, look, store, erase, enlarge)


words = st.integers(0, 2**32 - 1)
few = st.sampled_from([0, 0x10, 0x10, 0x10, 0x110, 0x110, 0x20])
LENGTH = 21


@given(
    entries=st.lists(st.one_of(st.just(0), st.just(0x1234), words), min_size=LENGTH, max_size=LENGTH),
    first=st.integers(0, LENGTH - 1),
    count=st.integers(1, LENGTH),
    mask=words,
    wanted=words,
)
@settings(deadline=None, max_examples=100)
def test_linear(code: Any, entries: list[int], first: int, count: int, mask: int, wanted: int) -> None:
    count = min(count, LENGTH - first)
    part = entries[first : first + count]
    memory = Array[u32, LENGTH](entries)
    for value in (wanted, part[0] & mask):
        assert code.uniform(memory, first, count, mask, value) == all((e ^ value) & mask == 0 for e in part)
    found = next((i for i in range(first, first + count) if entries[i]), linear.NOTHING)
    assert code.next_entry(memory, first, first + count) == found
    code.change(memory, first, count, mask, wanted)
    changed = [e & mask | wanted for e in part]
    assert list(memory) == entries[:first] + changed + entries[first + count :]


@given(
    entries=st.one_of(st.lists(few, min_size=LENGTH, max_size=LENGTH), st.integers(1, 30).map(lambda e: [e] * LENGTH)),
    count=st.integers(1, LENGTH),
    mask=st.sampled_from([0x78, 0x7F, 0, 2**32 - 1]),
)
@settings(deadline=None, max_examples=200)
def test_linear_alike(code: Any, entries: list[int], count: int, mask: int) -> None:
    entries = [entries[0] or 0x10, *entries[1:]]
    part = entries[:count]
    expected = next((i for i, e in enumerate(part) if not e or (e ^ part[0]) & mask), count)
    assert code.alike(Array[u32, LENGTH](entries), 0, count, mask) == expected


# Few pages, so that they meet again; most of them share two homes at the end of the table.
CROWDED = [page for page in range(2000) if page * inverted.GOLDEN % 2**64 >> SHIFT >= PLACES - 2][:12]
pages = st.sampled_from([0, 1, 2, *CROWDED])
steps = st.lists(
    st.tuples(st.sampled_from(["store", "store", "erase"]), pages, st.integers(1, 2**32 - 1)), min_size=10, max_size=60
)


@given(steps=steps)
@settings(deadline=None, max_examples=100)
def test_inverted(code: Any, steps: list[tuple[str, int, int]]) -> None:
    memory, model = Array[u64, PLACES](), {}
    for operation, page, entry in steps:
        if operation == "store" and (page in model or len(model) < PLACES // 2):
            code.store(memory, SHIFT, page, entry)
            model[page] = entry
        elif operation == "erase" and page in model:
            code.erase(memory, SHIFT, page)
            del model[page]
        assert code.look(memory, SHIFT, page) == model.get(page, 0)
    larger = Array[u64, 2 * PLACES]()
    code.enlarge(memory, SHIFT, larger)
    for _, page, _ in steps:
        assert code.look(memory, SHIFT, page) == model.get(page, 0)
        assert code.look(larger, SHIFT - 1, page) == model.get(page, 0)
    assert sum(place != 0 for place in larger) == len(model)
