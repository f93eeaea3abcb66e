# SPDX-License-Identifier: MIT
"""The maps of what is taken, against a Python set."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exos.ways import WAYS

from exokernel.exos import slots
from exokernel.metal import Array, u64

WORDS = 3


@pytest.fixture(scope="module", params=list(WAYS))
def code(request: pytest.FixtureRequest) -> Any:
    return WAYS[request.param](slots.take, slots.is_taken, slots.mark, slots.release)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.sampled_from([1, 1, 1, 2, 5, 63, 64, 65, 128, 192, 193])),
        st.tuples(st.just("release"), st.integers(0, WORDS * 64 - 1), st.integers(1, 64)),
    ),
    max_size=40,
)


@given(steps=steps)
@settings(deadline=None, max_examples=50)
def test_first_fit(code: Any, steps: list[tuple[Any, ...]]) -> None:
    memory, model = Array[u64, WORDS](), set()
    for step in steps:
        if step[0] == "take":
            count = step[1]
            starts = range(WORDS * 64 - count + 1)
            expected = next((s for s in starts if model.isdisjoint(range(s, s + count))), slots.NOTHING)
            assert code.take(memory, count) == expected
            if expected != slots.NOTHING:
                model |= set(range(expected, expected + count))
        else:
            first, count = step[1], min(step[2], WORDS * 64 - step[1])
            code.release(memory, first, count)
            model -= set(range(first, first + count))
        assert {i for i in range(WORDS * 64) if code.is_taken(memory, i)} == model


def test_none_are_none(code: Any) -> None:
    memory = Array[u64, WORDS]()
    assert code.take(memory, 0) == slots.NOTHING
    code.mark(memory, 0, 0)
    assert not code.is_taken(memory, 0)
