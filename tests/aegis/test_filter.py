# SPDX-License-Identifier: MIT
"""Packet filters against their definition in plain Python: interpreted, compiled, inserted, refused, removed."""

from __future__ import annotations

import itertools
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests import packets
from tests.aegis.filters import SPACE, A, Executable, array, code, generate, insert, matches, relation, shift
from tests.exos.ways import by_python, memory

from exokernel.aegis import filter, filter_code
from exokernel.aegis.abi import FILTER_ATOMS, FILTER_SHIFTS, TRANSMIT_LIMIT, AtomKind, Error
from exokernel.aegis.filter import FILTERS, NONE, Filter, Relation, Table
from exokernel.metal import Array, u8
from exokernel.metal.native import compile_functions
from exokernel.metal.types import content_of

OWNERS = (1, 2, 3)


@st.composite
def compares(draw: st.DrawFn) -> A:
    width = draw(st.sampled_from([8, 16, 32]))
    mask = draw(st.sampled_from([-1, -1, 0x0F0F0F0F, 0xFF00FF00, 1, 0x8000_0001])) & (1 << width) - 1 or 1
    value = draw(st.sampled_from([0, 0x01010101, 0x01020102, 0x02020202])) & mask
    return A(draw(st.integers(0, 9)), width, value, mask)


@st.composite
def shifts(draw: st.DrawFn) -> A:
    width = draw(st.sampled_from([8, 8, 16, 32]))
    return shift(draw(st.integers(0, 4)), width, draw(st.sampled_from([1, 3, 0xFF])), draw(st.integers(0, 2)))


def is_whole(atoms: list[A]) -> bool:
    """Whether something follows each shift, and there are not too many."""
    kinds = [atom.kind for atom in atoms]
    return kinds[-1:] != [AtomKind.SHIFT] and kinds.count(AtomKind.SHIFT) <= FILTER_SHIFTS


filters = st.lists(st.one_of(compares(), compares(), compares(), shifts()), max_size=6).filter(is_whole)
frames = st.one_of(
    st.lists(st.integers(0, 2), max_size=20).map(bytes),
    st.binary(max_size=20),
    st.sampled_from([b"\1" * n for n in (1, 5, 13, 16)]),
)


def is_contradiction(atoms: list[A]) -> bool:
    """Whether a bit must be both 0 and 1."""
    return any(relation([*before, one], [*before, other]) == Relation.DISJOINT for before, one, other in pairs(atoms))


def pairs(atoms: list[A]) -> list[tuple[list[A], A, A]]:
    """Comparisons with the same shifts before them, and these."""
    found, before, segment = [], [], []
    for atom in atoms:
        if atom.kind == AtomKind.SHIFT:
            before, segment = [*before, atom], []
        else:
            found += [(before, one, atom) for one in segment]
            segment.append(atom)
    return found


class Filters(RuleBasedStateMachine):
    """Whatever is inserted and removed: nobody gets what is another's, each frame goes to the most specific filter that
    matches it, and nothing depends on filters that are no more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table = Table()
        self.model: dict[int, tuple[int, list[A]]] = {}
        self.compiled: Executable | None = None

    def expected(self, atoms: list[A], owner: int, allowed: int) -> int:
        if is_contradiction(atoms):
            return Error.BAD_ARGUMENT
        for other, theirs in self.model.values():
            found = relation(atoms, theirs)
            nested = found in (Relation.INSIDE, Relation.AROUND)
            if found == Relation.EQUAL or (
                found != Relation.DISJOINT and other != owner and not (nested and other == allowed)
            ):
                return Error.IN_USE
        return next(i for i in range(FILTERS) if i not in self.model)

    @rule(atoms=filters, owner=st.sampled_from(OWNERS), allowed=st.sampled_from(OWNERS))
    def insert(self, atoms: list[A], owner: int, allowed: int) -> None:
        before, wanted = content_of(self.table), self.expected(atoms, owner, allowed)
        number = code.insert(self.table, *array(atoms), owner, allowed)
        assert number == wanted
        if number < 0:
            assert content_of(self.table) == before
            return
        with_it = content_of(self.table)
        assert code.remove(self.table, number, owner) == 0
        assert content_of(self.table) == before  # as if it had never been there
        assert code.insert(self.table, *array(atoms), owner, allowed) == number
        assert content_of(self.table) == with_it
        self.model[number] = owner, atoms
        self.compiled = None

    @precondition(lambda self: self.model)
    @rule(data=st.data(), owner=st.sampled_from(OWNERS))
    def remove(self, data: st.DataObject, owner: int) -> None:
        number = data.draw(st.sampled_from([*self.model, FILTERS - 1]))
        mine = number in self.model and self.model[number][0] == owner
        assert code.remove(self.table, number, owner) == (0 if mine else Error.NOT_OWNER)
        if mine:
            del self.model[number]
            self.compiled = None

    @rule(owner=st.sampled_from(OWNERS), limit=st.integers(0, 20))
    def owner_ends(self, owner: int, limit: int) -> None:
        order = [int(self.table.order[i]) for i in range(int(self.table.count))]
        theirs = [number for number in order if self.model[number][0] == owner][:limit]
        assert code.remove_first(self.table, owner, limit) == len(theirs)
        for number in theirs:
            del self.model[number]
        self.compiled = None

    @rule(frame=frames)
    def classify(self, frame: bytes) -> None:
        if self.compiled is None:
            self.compiled, self.pieces = Executable(self.table), Executable(self.table, steps=1 + len(frame) % 7)
        number = code.classify(self.table, memory(frame))
        assert self.compiled.classify(frame) == number
        assert self.pieces.classify(frame) == number  # however many steps were taken at once
        candidates = {n: atoms for n, (_, atoms) in self.model.items() if matches(atoms, frame)}
        if not candidates:
            assert number == NONE
            return
        assert number in candidates
        for other in candidates.values():
            assert relation(other, candidates[number]) != Relation.INSIDE

    @precondition(lambda self: self.compiled and self.model)
    @rule(data=st.data(), rest=st.binary(max_size=8))
    def classify_one_that_matches(self, data: st.DataObject, rest: bytes) -> None:
        _, atoms = data.draw(st.sampled_from(list(self.model.values())))
        self.classify(fulfilling(atoms) + rest)

    @invariant()
    def only_what_is_there_counts(self) -> None:
        for number in sorted(self.model, reverse=True):
            owner, atoms = self.model[number]
            made = Filter()
            assert code.normalise(*array(atoms), made)
            made.taken, made.owner = True, owner
            assert content_of(self.table.filters[number]) == content_of(made)
        order = [int(self.table.order[i]) for i in range(int(self.table.count))]
        assert sorted(order) == sorted(self.model)
        for one, other in itertools.pairwise(order):
            assert code.precedes(self.table.filters[one], self.table.filters[other])


def fulfilling(atoms: list[A]) -> bytes:
    """A frame that a filter without shifts matches."""
    frame = bytearray()
    for atom in atoms:
        size = atom.width // 8
        frame.extend(bytes(max(0, atom.offset + size - len(frame))))
        there = int.from_bytes(frame[atom.offset : atom.offset + size], "big")
        frame[atom.offset : atom.offset + size] = (there & ~atom.full() | atom.value).to_bytes(size, "big")
    return bytes(frame)


Filters.TestCase.settings = settings(deadline=None, max_examples=80, stateful_step_count=30)
TestFilters = Filters.TestCase


@given(one=filters, other=filters)
@settings(deadline=None, max_examples=500)
def test_the_more_specific_precedes(one: list[A], other: list[A]) -> None:
    a, b = Filter(), Filter()
    assert code.normalise(*array(one), a) == (not is_contradiction(one))
    assert code.normalise(*array(other), b) == (not is_contradiction(other))
    if is_contradiction(one) or is_contradiction(other):
        return
    found = code.relation_of(a, b)
    assert found == relation(one, other)
    assert (found == Relation.EQUAL) == (content_of(a) == content_of(b))
    if found == Relation.INSIDE:
        assert code.precedes(a, b)
    if found == Relation.AROUND:
        assert code.precedes(b, a)


@given(atoms=filters.filter(lambda atoms: not is_contradiction(atoms)), order=st.randoms())
@settings(deadline=None, max_examples=200)
def test_the_order_of_comparisons_means_nothing(atoms: list[A], order: random.Random) -> None:
    """Up to a shift."""
    mixed: list[A] = []
    segment: list[A] = []
    for atom in [*atoms, None]:
        if atom is None or atom.kind == AtomKind.SHIFT:
            order.shuffle(segment)
            mixed += segment + ([atom] if atom else [])
            segment = []
        else:
            segment.append(atom)
    one, other = Filter(), Filter()
    assert code.normalise(*array(atoms), one) and code.normalise(*array(mixed), other)
    assert content_of(one) == content_of(other)


GOOD = A(12, 16, 0x0800)


@pytest.mark.parametrize(
    "atoms",
    [
        [A(0, 0, 0)],
        [A(0, 7, 0, 1)],
        [A(0, 24, 0, 1)],
        [A(0, 64, 0, 1)],
        [A(0, 255, 0, 1)],
        [A(TRANSMIT_LIMIT, 8, 0)],
        [A(TRANSMIT_LIMIT - 1, 16, 0)],
        [A(TRANSMIT_LIMIT - 3, 32, 0)],
        [A(0xFFFF, 32, 0)],
        [A(0, 8, 0, 0)],
        [A(0, 8, 1, 2)],
        [A(0, 8, 256)],
        [A(0, 8, 0, -1, 2)],
        [A(0, 8, 0, -1, 255)],
        [GOOD, A(12, 16, 0x0801)],
        [GOOD, A(10, 32, 0x0900)],
        [shift(0, 8, 15, 2)],
        [GOOD, shift(0, 8, 15, 2)],
        [shift(0, 8, 15, 8), GOOD],
        [shift(0, 8, 15, 0xFFFF_FFFF), GOOD],
        [shift(0, 8, 0, 2), GOOD],
        [shift(TRANSMIT_LIMIT, 8, 15, 2), GOOD],
        [*[shift(0, 8, 15, 2)] * (FILTER_SHIFTS + 1), GOOD],
        [GOOD] * (FILTER_ATOMS + 1),
    ],
    ids=str,
)
def test_malformed(atoms: list[A]) -> None:
    table = Table()
    assert code.insert(table, *array(atoms), 1, 1) == Error.BAD_ARGUMENT
    assert content_of(table) == content_of(Table())


@given(words=st.lists(st.binary(min_size=12, max_size=12), max_size=18))
@settings(deadline=None, max_examples=300)
def test_any_bytes_as_atoms(words: list[bytes]) -> None:
    """Refused, or a filter; never more."""
    table, (made, count) = Table(), array([GOOD] * len(words))
    for i, word in enumerate(words):
        for name, value in zip(
            ("offset", "width", "kind", "mask", "value"), struct.unpack("<HBBII", word), strict=True
        ):
            setattr(made[i], name, value)
    number = code.insert(table, made, count, 1, 1)
    assert number in (0, Error.BAD_ARGUMENT)
    Executable(table).classify(b"".join(words))


def test_the_largest_filters() -> None:
    """As many atoms, shifts and offsets as there may be."""
    table = Table()
    wide = [A(i * 90, 32, 0x01020304) for i in range(FILTER_ATOMS)]
    deep = [shift(0, 32, 0xFFFF_FFFF, 7)] * FILTER_SHIFTS + [A(TRANSMIT_LIMIT - 4, 32, 0)]
    assert code.insert(table, *array(wide), 1, 1) == 0
    assert code.insert(table, *array(deep), 1, 1) == 1
    compiled = Executable(table)
    for frame in (
        fulfilling(wide),
        fulfilling(wide)[:-1],
        bytes(TRANSMIT_LIMIT),
        bytes(TRANSMIT_LIMIT - 1),
        b"\xff" * 1514,
    ):
        assert compiled.classify(frame) == code.classify(table, memory(frame))
    assert compiled.classify(fulfilling(wide)) == 0
    assert compiled.classify(bytes(TRANSMIT_LIMIT)) == 1
    assert compiled.classify(b"\xff" * 1514) == NONE


def test_no_filter_matches_nothing_and_the_empty_one_everything() -> None:
    table = Table()
    assert Executable(table).classify(b"") == code.classify(table, memory(b"")) == NONE
    assert code.insert(table, *array([]), 1, 1) == 0
    assert Executable(table).classify(b"") == code.classify(table, memory(b"")) == 0
    assert code.insert(table, *array([GOOD]), 2, 2) == Error.IN_USE
    assert code.insert(table, *array([GOOD]), 2, 1) == 1
    frame = bytes(12) + b"\x08\x00"
    assert Executable(table).classify(frame) == 1
    assert Executable(table).classify(frame[:-1]) == 0


# ---- flows


def flow(source: int, source_port: int, destination: int, destination_port: int) -> list[A]:
    """One TCP connection, as its receiver names it: IPv4, not a later fragment, behind a header of any length."""
    return [
        A(12, 16, 0x0800),
        A(14, 8, 0x40, 0xF0),
        A(20, 16, 0, 0x1FFF),
        A(23, 8, 6),
        A(26, 32, source),
        A(30, 32, destination),
        shift(14, 8, 15, 2),
        A(14, 16, source_port),
        A(16, 16, destination_port),
    ]


def segment(source: int, source_port: int, destination: int, destination_port: int, options: int = 0) -> bytes:
    tcp = struct.pack(">HHIIBBHHH", source_port, destination_port, 1, 2, 0x50, 0x10, 1024, 0, 0)
    ip = packets.ipv4(source.to_bytes(4, "big"), destination.to_bytes(4, "big"), 6, tcp, options=options)
    return packets.ethernet(b"\2" * 6, b"\4" * 6, 0x0800, ip)


def flows(count: int, chance: random.Random) -> list[tuple[int, int, int, int]]:
    """Different ones of one host."""
    found: dict[tuple[int, int, int, int], None] = {}
    while len(found) < count:
        found[chance.getrandbits(32), chance.randrange(1024, 65536), 0x0A000002, 80] = None
    return list(found)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 10, 500, FILTERS])
def test_flows(count: int) -> None:
    chance = random.Random(count)
    table, those = Table(), flows(count, chance)
    for i, one in enumerate(those):
        assert code.insert(table, *array(flow(*one)), 1 + i, 1 + i) == i
    if count == FILTERS:
        assert code.insert(table, *array([A(12, 16, 0x0806)]), 1, 1) == Error.NO_ROOM
    compiled, pieces = Executable(table), Executable(table, steps=chance.choice([1, 10, 100]))
    for i, one in enumerate(those):
        options = chance.choice([0, 4, 40])
        frame = segment(*one, options=options)
        assert compiled.classify(frame) == pieces.classify(frame) == i
        assert code.classify(table, memory(frame)) == i
        other = bytearray(frame)
        other[chance.choice([12, 23, 26, 29, 33, 36 + options])] ^= 1
        assert (
            compiled.classify(bytes(other))
            == pieces.classify(bytes(other))
            == code.classify(table, memory(bytes(other)))
            == NONE
        )
    for length in range(len(frame)):
        assert compiled.classify(frame[:length]) == code.classify(table, memory(frame[:length]))
        assert length < 38 or compiled.classify(frame) == count - 1


def test_what_does_not_fit_is_not_written() -> None:
    table = Table()
    for i, one in enumerate(flows(40, random.Random(0))):
        code.insert(table, *array(flow(*one)), i, i)
    length = Executable(table).length
    for size in [1, 2, 5, 100, 400, length - 1, *range(8, length, 97)]:
        space = Array[u8, size]()
        assert code.generate(table, space) == 0
    space = Array[u8, length]()
    assert code.generate(table, space) == length


@pytest.mark.parametrize("probes", [0, 1, filter_code.PROBES])
def test_values_that_collide(probes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can make a search long: where no multiplier is good enough, halves are searched."""
    monkeypatch.setattr(filter_code, "PROBES", probes)
    compiled_anew = compile_functions([generate]).generate
    chance = random.Random(5)
    groups: dict[int, list[int]] = {}
    for _ in range(1 << 16):
        value = chance.getrandbits(32)
        swapped = int.from_bytes(value.to_bytes(4, "big"), "little")
        groups.setdefault(swapped * int(filter_code.MULTIPLIERS[0]) % 2**32 >> 24, []).append(value)
    table, space = Table(), Array[u8, SPACE]()
    for i, value in enumerate(groups[0][:200]):  # that the first multiplier sends to one place
        assert code.insert(table, *array([A(0, 32, value)]), 1, 1) == i
    length = compiled_anew(table, space)
    jumps_by_register = bytes(space)[:length].count(b"\xff\xe1")
    assert (jumps_by_register > 0) == (probes > 1)
    compiled = Executable(table, space=space, length=length)
    for i, value in enumerate(groups[0][:200]):
        assert compiled.classify(value.to_bytes(4, "big")) == i
        assert compiled.classify((value ^ 1).to_bytes(4, "big")) == NONE


def test_by_python() -> None:
    """The same functions, run by CPython with annotations enforced, give the same answers."""
    ways = by_python(insert, filter.remove, filter.classify, generate)
    native_table, table = Table(), Table()
    some = [flow(*one) for one in flows(10, random.Random(1))] + [[A(12, 16, 0x0806)], [A(12, 32, 0x0800_4500)]]
    for atoms in [*some, some[0]]:
        assert ways.insert(table, *array(atoms), 1, 1) == code.insert(native_table, *array(atoms), 1, 1)
    assert ways.remove(table, 3, 1) == code.remove(native_table, 3, 1) == 0
    assert content_of(table) == content_of(native_table)
    one, other = Array[u8, 4096](), Array[u8, 4096]()
    assert ways.generate(table, one) == code.generate(native_table, other)
    assert bytes(one) == bytes(other)
    for one_flow in flows(10, random.Random(1)):
        frame = segment(*one_flow)
        assert ways.classify(table, memory(frame)) == code.classify(table, memory(frame))
