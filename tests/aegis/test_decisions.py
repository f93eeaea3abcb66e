# SPDX-License-Identifier: MIT
"""The kernel's decisions that touch no hardware, compiled for the workstation, against plain Python."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exokernel.aegis import processor, user_memory
from exokernel.aegis.abi import SLICES, USER_LIMIT
from exokernel.machine import paging, timer
from exokernel.metal import native
from exokernel.metal.types import u64

compiled = native.compile_functions([user_memory.is_user_range, timer.ticks_for, processor.position_after])
words = st.one_of(
    st.integers(0, 2**64 - 1), st.integers(0, 2 * USER_LIMIT), st.sampled_from([USER_LIMIT, 2**63, 2**64 - 1])
)


@given(words, words)
def test_a_user_range_lies_below_the_limit_and_does_not_wrap(address: int, length: int) -> None:
    assert compiled.is_user_range(address, length) == (address + length <= USER_LIMIT)


@given(st.integers(0, SLICES - 1), st.integers(1, 2**SLICES - 1))
def test_the_next_slice_is_the_first_ready_one_after_this(current: int, ready: int) -> None:
    circle = [(current + step) % SLICES for step in range(1, SLICES + 1)]
    assert compiled.position_after(current, ready) == next(p for p in circle if ready >> p & 1)


@given(words, st.integers(10**6, 8 * 10**9))
def test_a_sleep_ends_soon_after_its_deadline_and_not_before(timestamps: int, frequency: int) -> None:
    ticks = compiled.ticks_for(timestamps, frequency)
    exact = timestamps * timer.FREQUENCY  # in ticks, times the frequency
    assert timer.SHORTEST_SLICE <= ticks <= 2 * timer.FREQUENCY
    assert ticks == 2 * timer.FREQUENCY or exact <= ticks * frequency
    assert ticks == timer.SHORTEST_SLICE or (ticks - 1) * frequency <= exact


@given(st.lists(st.integers(0x200, 0x400), min_size=4, max_size=4), st.integers(0x200, 0x400), st.integers(0, 0x600))
def test_no_page_of_the_kernel_is_writable_and_executable(bounds: list[int], guard: int, frame: int) -> None:
    code, constants, data, end = sorted(bounds)
    layout = paging.ImageLayout(code=code, constants=constants, data=data, end=end, guard=guard)
    entry = paging.describe_image_page(layout, u64(frame))
    assert not (entry.present and entry.writable and not entry.no_execute)
    assert entry.present == (code <= frame < end and frame != guard)
    if entry.present:
        assert entry.writable == (frame >= data) and entry.no_execute == (frame >= constants)
        assert entry.frame == frame
