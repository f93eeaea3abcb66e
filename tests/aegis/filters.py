# SPDX-License-Identifier: MIT
"""Packet filters for the tests: atoms, what they mean in plain Python, and the code made of them, executed."""

import ctypes
import mmap
from typing import Any, NamedTuple

from exokernel.aegis import filter, filter_code
from exokernel.aegis.abi import Atom, AtomKind
from exokernel.metal import Array, Span, i64, u8, u32, u64
from exokernel.metal.native import compile_functions

COMPARE, SHIFT = AtomKind.COMPARE, AtomKind.SHIFT
SPACE = 1 << 18  # bytes, more than 512 flows need

MOST = 18  # atoms, more than a filter may have


def insert(table: filter.Table, atoms: Array[Atom, MOST], count: u64, owner: u32, allowed: u32) -> i64:
    return filter.insert(table, atoms[:count], owner, allowed)


def normalise(atoms: Array[Atom, MOST], count: u64, made: filter.Filter) -> bool:
    return filter.normalise(atoms[:count], made)


def generate(table: filter.Table, space: Span[u8]) -> u64:
    """The code for all filters at once. Returns its length, or 0 when `space` is too small."""
    made = filter_code.Code()
    filter_code.begin(made, table, space)
    while not filter_code.go_on(made, table, 1 << 20):
        pass
    return made.length if made.length <= len(space) else u64(0)


def generate_in_pieces(table: filter.Table, space: Span[u8], steps: u64) -> u64:
    made = filter_code.Code()
    filter_code.begin(made, table, space)
    while not filter_code.go_on(made, table, steps):
        assert made.waiting <= table.count
    return made.length


FUNCTIONS = [
    insert,
    normalise,
    filter.remove,
    filter.remove_first,
    filter.classify,
    filter.relation_of,
    filter.precedes,
]
code: Any = compile_functions([*FUNCTIONS, generate, generate_in_pieces])


class A(NamedTuple):
    """An atom."""

    offset: int
    width: int
    value: int
    mask: int = -1
    kind: int = COMPARE

    def full(self) -> int:
        return self.mask & (1 << self.width) - 1


def shift(offset: int, width: int, mask: int, left: int) -> A:
    return A(offset, width, left, mask, SHIFT)


def array(atoms: list[A]) -> tuple[Any, int]:
    """Atoms as the functions above want them."""
    result = Array[Atom, MOST]()
    for place, a in zip(result, atoms, strict=False):
        place.copy_from(Atom(offset=a.offset, width=a.width, kind=a.kind, mask=a.full(), value=a.value))
    return result, len(atoms)


def bits(atoms: list[A]) -> tuple[dict[Any, int], tuple[A, ...]]:
    """Each bit that is tested, named by the shifts before it and its number from there on, with what it must be; and all
    the shifts. Of a bit tested twice, the last.
    """
    tested: dict[Any, int] = {}
    shifts: tuple[A, ...] = ()
    for atom in atoms:
        if atom.kind == SHIFT:
            shifts += (atom,)
            continue
        for i in range(atom.width):
            if atom.full() >> (atom.width - 1 - i) & 1:
                tested[shifts, 8 * atom.offset + i] = atom.value >> (atom.width - 1 - i) & 1
    return tested, shifts


def relation(one: list[A], other: list[A]) -> filter.Relation:
    """How two filters relate, by the definition."""
    (a, shifts_a), (b, shifts_b) = bits(one), bits(other)
    if any(key in b and b[key] != bit for key, bit in a.items()):
        return filter.Relation.DISJOINT
    common = min(len(shifts_a), len(shifts_b))
    more_a = len(shifts_a) > common or not a.keys() <= b.keys()
    more_b = len(shifts_b) > common or not b.keys() <= a.keys()
    if shifts_a[:common] != shifts_b[:common] or (more_a and more_b):
        return filter.Relation.OVERLAPPING
    if more_a:
        return filter.Relation.INSIDE
    return filter.Relation.AROUND if more_b else filter.Relation.EQUAL


def matches(atoms: list[A], frame: bytes) -> bool:
    """What a filter says, word by word."""
    base = 0
    for atom in atoms:
        place, size = base + atom.offset, atom.width // 8
        if atom.kind == COMPARE:
            while not atom.full() >> 8 * (atom.width // 8 - size) & 0xFF:
                size -= 1  # bytes at the end that are not tested need not be there
        if place + size > len(frame):
            return False
        value = (
            int.from_bytes(frame[place : place + atom.width // 8].ljust(atom.width // 8, b"\0"), "big") & atom.full()
        )
        if atom.kind == SHIFT:
            base += value << atom.value
        elif value != atom.value:
            return False
    return True


class Executable:
    """The code for a table, called with frames that end where memory ends."""

    def __init__(self, table: Any, space: Any = None, length: int = 0, steps: int = 0) -> None:
        if space is None:
            space = Array[u8, SPACE]()
            length = code.generate_in_pieces(table, space, steps) if steps else code.generate(table, space)
        assert length, "no room"
        self.length = length
        self._code = mmap.mmap(-1, length, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._code.write(bytes(space)[:length])
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._code))
        self._call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_uint64)(address)

    def classify(self, frame: bytes) -> int:
        place = FRAME_END - len(frame)
        ctypes.memmove(place, frame, len(frame))
        return int(self._call(place, len(frame)))


def _frames() -> tuple[mmap.mmap, int]:
    """Memory for frames, and where it ends: nothing can be read there."""
    memory = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    end = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(end), ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    return memory, end


MEMORY, FRAME_END = _frames()
