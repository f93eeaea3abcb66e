# SPDX-License-Identifier: MIT
"""Packet filters: which of them a received frame belongs to (paper 5.6, DPF). Pure: no state of its own, no hardware.
What runs on each frame is the machine code that `filter_code` makes of the table; `classify` here says what it must
answer.

**One trie.** Each filter is brought into a normal form: the bits it tests are gathered into windows of four bytes, the
first one at the first byte tested, the next at the first one behind it, up to a shift, behind which counting begins
anew. Windows that test the same bits are the same field, so filters written differently share their tests. The filters
are kept sorted, by one field after the other: those that begin alike are neighbours, and a node of the trie is a range
of the table. There is nothing to be balanced or collected, and when a filter is removed nothing of it is left.

**The most specific filter wins.** Where a window of one filter and one of another begin to differ, the one is tried
first that tests the earlier byte, then the one that tests more bits, and an ended one last; a filter that tests all that
another does, and more, is thus tried first. Among filters of which neither does the search order decides.

**Nobody steals.** The frames of one filter and of another are compared bit by bit: they are disjoint when some bit must
be 0 for the one and 1 for the other, at the same place behind the same shifts. This is exact for filters without shifts;
behind different shifts nothing is known, and what is not known to be disjoint overlaps. Filters of different owners must
be disjoint, unless one tests all that the other does and more, and the owner of the older one allows it: then each frame
goes to the more specific. Filters of one owner may overlap as they like; none may equal another.

Bounds: an insertion compares with each of FILTERS others, in at most 96 steps; a removal moves at most FILTERS
numbers. A search visits each node at most once, and without filters of several shapes one node for each field.
"""

from enum import IntEnum

from exokernel.aegis.abi import FILTER_ATOMS, FILTER_SHIFTS, TRANSMIT_LIMIT, Atom, AtomKind, Error
from exokernel.metal import *

FILTERS = 512
NONE = -1  # no filter matches


@bits(u64)
class Field:
    """What one step looks at. Fields are tried in the order of these numbers."""

    shift: u8 = field(0, 3)  # of a shift: how far to the left
    width: u8 = field(4, 7)  # bytes, up to the last one tested
    unmasked: u32 = field(8, 39)  # the mask's complement, first byte highest: who tests more comes first
    offset: u16 = field(40, 55)
    moves: bool = field(63)  # a shift, no comparison

    @inline
    def mask(self) -> u32:
        """Of a comparison: the first byte lowest, as the processor loads it. Of a shift: as a number on the wire."""
        mask = self.unmasked ^ 0xFFFF_FFFF
        return mask if self.moves else byte_swap(mask)

    @inline
    def end(self) -> u64:
        return u64(self.offset) + self.width


@struct
class Step:
    field: Field
    value: u32  # of a comparison: the first byte lowest


@struct
class Filter:
    """A filter in normal form."""

    steps: Array[Step, FILTER_ATOMS]
    count: u32
    taken: bool
    owner: u32


@struct
class Table:
    """All filters. Zeros are an empty table."""

    filters: Array[Filter, FILTERS]  # by number
    order: Array[u16, FILTERS]  # numbers of those taken, as the search tries them
    count: u64


# ---- inserting and removing


def insert(table: Table, atoms: Span[Atom], owner: u32, allowed: u32) -> i64:
    """Add a filter; without atoms it matches every frame. `allowed`: an owner that lets the new filter lie inside its
    own, or around them; `owner` itself if there is none.

    Returns the filter's number, the lowest that is free, or BAD_ARGUMENT (an atom is malformed, no frame can match, or
    nothing follows a shift), NO_ROOM, or IN_USE (the same filter exists, or it would share frames with another
    owner's).
    """
    new = Filter()
    if len(atoms) > FILTER_ATOMS or not normalise(atoms, new):
        return Error.BAD_ARGUMENT
    if table.count == FILTERS:
        return Error.NO_ROOM
    for i in range(table.count):
        if not may_coexist(new, owner, table.filters[table.order[i]], allowed):
            return Error.IN_USE
    place: u64 = 0
    last = table.count
    while place < last:
        middle = (place + last) // 2
        if precedes(new, table.filters[table.order[middle]]):
            last = middle
        else:
            place = middle + 1
    number: u64 = 0
    while table.filters[number].taken:
        number += 1
    new.taken = True
    new.owner = owner
    table.filters[number].copy_from(new)
    i = table.count
    while i > place:
        table.order[i] = table.order[i - 1]
        i -= 1
    table.order[place] = u16(number)
    table.count += 1
    return i64(number)


def may_coexist(new: Filter, owner: u32, other: Filter, allowed: u32) -> bool:
    for i in range(u64(min(new.count, other.count))):  # most filters differ in a value where they are alike before
        a, b = new.steps[i], other.steps[i]
        if a.field != b.field:
            break
        if a.value != b.value:
            return True
    relation = relation_of(new, other)
    if relation == Relation.DISJOINT:
        return True
    if relation == Relation.EQUAL:
        return False
    return other.owner == owner or (relation != Relation.OVERLAPPING and other.owner == allowed)


def remove(table: Table, number: u64, owner: u32) -> i64:
    """Take out the owner's filter of that number. Returns 0, BAD_ARGUMENT or NOT_OWNER."""
    if number >= FILTERS:
        return Error.BAD_ARGUMENT
    if not table.filters[number].taken or table.filters[number].owner != owner:
        return Error.NOT_OWNER
    _forget(table, number)
    return 0


def remove_first(table: Table, owner: u32, limit: u64) -> u64:
    """Take out those filters of an owner that are tried first, up to `limit`. Returns how many there were."""
    kept: u64 = 0
    count = table.count
    for i in range(count):
        number = table.order[i]
        table.order[i] = 0
        if table.filters[number].owner == owner and i - kept < limit:
            table.filters[number].copy_from(Filter())
        else:
            table.order[kept] = number
            kept += 1
    table.count = kept
    return count - kept


def _forget(table: Table, number: u64) -> None:
    table.filters[number].copy_from(Filter())
    table.count -= 1
    found = False
    for i in range(table.count):
        found = found or table.order[i] == number
        if found:
            table.order[i] = table.order[i + 1]
    table.order[table.count] = 0


# ---- normal form


def normalise(atoms: Span[Atom], filter: Filter) -> bool:
    """Bring at most FILTER_ATOMS atoms into normal form, in `filter`, all zeros before. False: they are malformed, or
    contradict each other. Windows of four bytes are at most as many as fields of up to four that they cover.
    """
    first: u64 = 0
    shifts: u64 = 0
    for i in range(len(atoms)):
        atom = atoms[i]
        if not is_sound(atom):
            return False
        if atom.kind == AtomKind.SHIFT:
            shifts += 1
            if shifts > FILTER_SHIFTS or i + 1 == len(atoms) or not _gather(atoms[first:i], filter):
                return False
            step = filter.steps[filter.count]
            step.field = Field(
                moves=True, offset=atom.offset, width=atom.width // 8, shift=u8(atom.value), unmasked=~atom.mask
            )
            filter.count += 1
            first = i + 1
    return _gather(atoms[first:], filter)


def is_sound(atom: Atom) -> bool:
    """Whether an atom says something that can be true."""
    if atom.width != 8 and atom.width != 16 and atom.width != 32:
        return False
    if u64(atom.offset) + atom.width // 8 > TRANSMIT_LIMIT or atom.mask == 0 or u64(atom.mask) >> atom.width != 0:
        return False
    if atom.kind == AtomKind.SHIFT:
        return atom.value <= 7
    return atom.kind == AtomKind.COMPARE and atom.value & ~atom.mask == 0


def _gather(atoms: Span[Atom], filter: Filter) -> bool:
    """Append the windows of comparisons between two shifts."""
    at: u64 = 0
    while True:
        start: u64 = TRANSMIT_LIMIT
        for atom in atoms:
            for i in range(u64(atom.width // 8)):
                place = u64(atom.offset) + i
                if place >= at and place < start and _byte(atom.mask, atom.width, i) != 0:
                    start = place
        if start == TRANSMIT_LIMIT:
            return True
        mask: u32 = 0
        value: u32 = 0
        for atom in atoms:
            for i in range(u64(atom.width // 8)):
                place = u64(atom.offset) + i
                if place >= start and place < start + 4:
                    left = 8 * (place - start)
                    more = u32(_byte(atom.mask, atom.width, i)) << left
                    wanted = u32(_byte(atom.value, atom.width, i)) << left
                    if (value ^ wanted) & mask & more != 0:
                        return False
                    mask |= more
                    value |= wanted
        step = filter.steps[filter.count]
        width = 4 - u8(count_leading_zeros(mask) // 8)
        step.field = Field(offset=u16(start), width=width, unmasked=~byte_swap(mask))
        step.value = value
        filter.count += 1
        at = start + 4


@inline
def _byte(number: u32, width: u8, i: u64) -> u8:
    """Byte i, as sent, of a number of `width` bits."""
    return u8(number >> (u64(width) - 8 - 8 * i))


# ---- comparing filters


def precedes(one: Filter, other: Filter) -> bool:
    """Whether a filter is tried before another, which is not equal."""
    for i in range(u64(min(one.count, other.count))):
        a, b = one.steps[i], other.steps[i]
        if a.field != b.field:
            return a.field.raw < b.field.raw
        if a.value != b.value:
            return a.value < b.value
    return one.count > other.count


class Relation(IntEnum):
    """Of the frames of one filter to those of another."""

    DISJOINT = 0
    EQUAL = 1
    INSIDE = 2
    AROUND = 3
    OVERLAPPING = 4  # or not known to be disjoint


@struct
class Reader:
    """The bits that a filter tests, from first to last. While `left` is not 0 they are those of `size` bytes from
    `offset` on.
    """

    next: u64  # step
    offset: u64
    size: u64
    left: u32
    value: u32

    @inline
    def read(self, filter: Filter) -> None:
        """Go on to the next window, unless this one has bits left or a shift follows."""
        if self.left == 0 and self.next < filter.count:
            step = filter.steps[self.next]
            if not step.field.moves:
                self.offset = step.field.offset
                self.size = 4
                self.left = step.field.mask()
                self.value = step.value
                self.next += 1

    @inline
    def take(self, bytes: u64) -> u32:
        """Go on by as many bytes, or to the window's end. Returns the bits tested there."""
        taken = self.left & ~(u32(0xFFFF_FFFF) << 8 * bytes)
        self.left >>= 8 * bytes
        self.value >>= 8 * bytes
        self.offset += bytes
        self.size -= min(bytes, self.size)
        return taken


def relation_of(one: Filter, other: Filter) -> u8:
    """How the frames of two filters relate."""
    a, b = Reader(), Reader()
    only_a = False  # tests a bit that the other does not
    only_b = False
    while True:
        a.read(one)
        b.read(other)
        if a.left == 0 and b.left == 0:
            if a.next < one.count and b.next < other.count:
                if one.steps[a.next].field != other.steps[b.next].field:
                    return Relation.OVERLAPPING
                a.next += 1
                b.next += 1
                continue
            only_a = only_a or a.next < one.count
            only_b = only_b or b.next < other.count
            break
        if b.left == 0 or (a.left != 0 and a.offset < b.offset):
            only_a = a.take(4 if b.left == 0 else b.offset - a.offset) != 0 or only_a
        elif a.left == 0 or b.offset < a.offset:
            only_b = b.take(4 if a.left == 0 else a.offset - b.offset) != 0 or only_b
        else:
            differing = a.value ^ b.value
            size = min(a.size, b.size)
            tested_a, tested_b = a.take(size), b.take(size)
            if differing & tested_a & tested_b != 0:
                return Relation.DISJOINT
            only_a = only_a or tested_a & ~tested_b != 0
            only_b = only_b or tested_b & ~tested_a != 0
    if only_a and only_b:
        return Relation.OVERLAPPING
    if only_a:
        return Relation.INSIDE
    return Relation.AROUND if only_b else Relation.EQUAL


# ---- searching


def classify(table: Table, frame: Span[u8]) -> i64:
    """The number of the filter to which a frame belongs, or NONE."""
    return _search(table, 0, table.count, 0, 0, frame)


def _search(table: Table, first: u64, last: u64, depth: u64, base: u64, frame: Span[u8]) -> i64:
    """The same among the filters at these places, whose first `depth` steps are the same and fulfilled."""
    while first < last:
        if table.filters[table.order[first]].count == depth:
            return i64(table.order[first])
        end = same_field(table, first, last, depth)
        field = step_at(table, first, depth).field
        if base + field.end() <= len(frame):
            found: i64 = NONE
            if field.moves:
                number: u64 = 0
                for i in range(u64(field.width)):
                    number = number << 8 | frame[base + field.offset + i]
                found = _search(table, first, end, depth + 1, base + ((number & field.mask()) << field.shift), frame)
            else:
                value: u32 = 0
                for i in range(u64(field.width)):
                    value |= u32(frame[base + field.offset + i]) << 8 * i
                value &= field.mask()
                start = first_value(table, first, end, depth, value)
                found = _search(table, start, same_value(table, start, end, depth, value), depth + 1, base, frame)
            if found != NONE:
                return found
        first = end
    return NONE


@inline
def step_at(table: Table, place: u64, depth: u64) -> Step:
    return table.filters[table.order[place]].steps[depth]


def same_field(table: Table, first: u64, last: u64, depth: u64) -> u64:
    """Where those end that look at the same field as the one at `first`."""
    field = step_at(table, first, depth).field
    while first < last:
        middle = (first + last) // 2
        if table.filters[table.order[middle]].count > depth and step_at(table, middle, depth).field == field:
            first = middle + 1
        else:
            last = middle
    return first


def first_value(table: Table, first: u64, last: u64, depth: u64, value: u32) -> u64:
    """The first of those of one field with at least this value."""
    while first < last:
        middle = (first + last) // 2
        if step_at(table, middle, depth).value < value:
            first = middle + 1
        else:
            last = middle
    return first


def same_value(table: Table, first: u64, last: u64, depth: u64, value: u32) -> u64:
    """Where those end, of one field and with at least this value, that have this one."""
    while first < last:
        middle = (first + last) // 2
        if step_at(table, middle, depth).value == value:
            first = middle + 1
        else:
            last = middle
    return first
