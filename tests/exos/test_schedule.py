# SPDX-License-Identifier: MIT
"""Stride arithmetic against its theory, natively and by CPython.

All passes lie between the least one and that plus its client's stride, and begin one stride ahead. So after n turns in
all, a client with the part p of the shares of k clients has had at most one turn fewer than p * n, and at most
(k - 1) * p more: each of the k - 1 others can be one behind.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exos.ways import WAYS

from exokernel.exos import schedule
from exokernel.exos.schedule import NOBODY, PARTS, STRIDE, Clients
from exokernel.metal import u64

LAST = 2**64

SHARES = st.lists(st.integers(1, 16), min_size=1, max_size=6)
STARTS = st.one_of(st.integers(0, LAST - 1), st.integers(LAST - 20 * STRIDE, LAST - 1))


@pytest.fixture(scope="module", params=list(WAYS))
def code(request: pytest.FixtureRequest) -> Any:
    return WAYS[request.param](schedule.add, schedule.leave, schedule.set_awake, schedule.choose, turn)


def turn(clients: Clients, used: u64) -> u64:
    """One turn of which so many PARTS are used; whose it is."""
    place = schedule.choose(clients)
    if place == schedule.NOBODY:
        return place
    schedule.charge(clients.table[place], used, schedule.PARTS)
    return clients.table[place].environment


def clients_of(code: Any, shares: list[int], start: int) -> Clients:
    """Clients 0, 1, ... with these shares, whose passes begin at `start`."""
    clients = Clients(passed=start)
    assert all(code.add(clients, number, 1, share) for number, share in enumerate(shares))
    return clients


def turns(code: Any, clients: Clients, count: int) -> list[int]:
    return [code.turn(clients, PARTS) for _ in range(count)]


def check_shares(shares: list[int], had: list[int]) -> None:
    """The bound of the theory, above."""
    whole = sum(shares)
    for number, share in enumerate(shares):
        error = had.count(number) - Fraction(share * len(had), whole)
        assert -1 <= error <= (len(shares) - 1) * Fraction(share, whole)


def test_the_order_is_that_of_the_papers_figure(code: Any) -> None:
    """A B A A C B; of equals the first that joined, so C, which joined before B, comes before it."""
    order = turns(code, clients_of(code, [3, 1, 2], 0), 18)
    assert "".join("ACB"[n] for n in order) == "ABAACB" * 3


@settings(max_examples=60, deadline=None)
@given(shares=SHARES, start=STARTS, count=st.integers(1, 120))
def test_nobody_is_further_from_its_share_than_the_theory_says(
    code: Any, shares: list[int], start: int, count: int
) -> None:
    """Also when the passes wrap around."""
    check_shares(shares, turns(code, clients_of(code, shares, start), count))


@settings(max_examples=40, deadline=None)
@given(shares=SHARES, start=STARTS, count=st.integers(1, 60), asleep=st.integers(1, 60), data=st.data())
def test_who_sleeps_neither_loses_nor_gains(
    code: Any, shares: list[int], start: int, count: int, asleep: int, data: st.DataObject
) -> None:
    """The others share as if it were not there; afterwards all share as before, whatever they had meanwhile."""
    clients = clients_of(code, shares, start)
    before = turns(code, clients, count)
    sleeper = data.draw(st.integers(0, len(shares) - 1))
    ahead = clients.table[sleeper].passed - clients.passed
    code.set_awake(clients, sleeper, False)
    meanwhile = turns(code, clients, asleep)
    assert sleeper not in meanwhile
    if len(shares) == 1:
        assert meanwhile == [NOBODY] * asleep
    code.set_awake(clients, sleeper, True)
    assert clients.table[sleeper].passed - clients.passed == ahead
    after = turns(code, clients, count)
    if len(shares) > 1:
        again = before.count(sleeper) + after.count(sleeper)
        part = Fraction(shares[sleeper], sum(shares))
        assert abs(again - part * 2 * count) <= 2 + (len(shares) - 1) * part * 2


@settings(max_examples=40, deadline=None)
@given(shares=SHARES.filter(lambda s: len(s) > 1), start=STARTS, count=st.integers(1, 60), data=st.data())
def test_who_leaves_is_not_chosen_and_the_others_keep_their_shares(
    code: Any, shares: list[int], start: int, count: int, data: st.DataObject
) -> None:
    clients = clients_of(code, shares, start)
    turns(code, clients, count)
    gone = data.draw(st.integers(0, len(shares) - 1))
    code.leave(clients, gone)
    after = turns(code, clients, 100)
    assert gone not in after
    rest = [share for number, share in enumerate(shares) if number != gone]
    for number, share in enumerate(shares):
        if number != gone:
            error = after.count(number) - Fraction(share * 100, sum(rest))
            # Both ends of the stretch may be off by the bound.
            assert abs(error) <= 1 + (len(rest) - 1) * Fraction(share, sum(rest))


@settings(max_examples=40, deadline=None)
@given(start=STARTS, used=st.integers(0, PARTS))
def test_who_uses_half_of_its_turns_has_twice_as_many(code: Any, start: int, used: int) -> None:
    """And who uses nothing is charged one part all the same, so that the others have turns."""
    clients = clients_of(code, [1, 1], start)
    had = [0, 0]
    for _ in range(PARTS * 9):
        place = code.choose(clients)
        had[place] += 1
        code.turn(clients, used if place == 0 else PARTS)
    assert abs(had[0] * max(used, 1) - had[1] * PARTS) <= PARTS


def test_a_share_of_nothing_or_too_many_clients_are_refused(code: Any) -> None:
    clients = Clients()
    assert not code.add(clients, 0, 1, 0) and not code.add(clients, 0, 1, STRIDE + 1)
    assert all(code.add(clients, number, 1, 1) for number in range(schedule.CLIENTS))
    assert not code.add(clients, 0, 1, 1)
    assert sorted(turns(code, clients, schedule.CLIENTS)) == list(range(schedule.CLIENTS))
