# SPDX-License-Identifier: MIT
"""The trie of packet filters as machine code (paper 5.6: constants in the instructions, no interpreter). Pure: it writes
bytes into memory that it is given; who makes that memory executable, and when, is the caller's business.

The code is a function `classify(frame, length) -> i64` after System V's convention, in 64-bit mode: the filter's number
or NONE. It uses no stack, reads nothing but the frame's `length` bytes and its own tables, and jumps back only in a table
with at most PROBES steps, so that it ends after at most one visit to each node.

**Lengths** are compared once for all fields up to a shift: with the least that one of the filters below needs. **A field
with few values** is searched by halves, in instructions; **one with more than FEW** in a hash table beside the code,
whose multiplier is the first of a few that lets no value wait for PROBES others. When none does, halves do it: nobody
can make searches long.

Everything is written anew for each change: at most FILTERS * FILTER_ATOMS steps, each counted once for its length, once
for each multiplier, and once for its code. Recursion is as deep as a filter has steps, and log2(FILTERS)
more: at most 8 KiB of the kernel's stack.

`rdi` is the frame, `rsi` its length, `eax` the field, `r8` to `r11` the distances to which shifts have led; `rcx` and
`rdx` are for the moment.
"""

from typing import Final

from exokernel.aegis.filter import Field, Table, first_value, same_field, same_value, step_at
from exokernel.metal import Array, Span, noinline, struct, u8, u32, u64, view

FEW = 8  # values
PROBES = 8
MULTIPLIERS: Final[Array[u32, 8]] = Array[u32, 8](
    [0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1, 0xCC9E2D51, 0x1B873593, 0xE6546B65]
)

# Conditional jumps, second byte.
BELOW, ABOVE_OR_EQUAL, EQUAL, NOT_EQUAL, ABOVE = 0x82, 0x83, 0x84, 0x85, 0x87


@struct
class Label:
    """A place still to come: the last jump to it, which names the one before. 0: none."""

    last: u32


@struct(packed=True)
class Word:
    value: u32


@struct
class Code:
    """Machine code being written. What does not fit is counted, not written."""

    bytes: Span[u8]
    length: u64

    @noinline
    def byte(self, value: u8) -> None:
        if self.length < len(self.bytes):
            self.bytes[self.length] = value
        self.length += 1

    def two(self, first: u8, second: u8) -> None:
        self.byte(first)
        self.byte(second)

    def three(self, first: u8, second: u8, third: u8) -> None:
        self.two(first, second)
        self.byte(third)

    @noinline
    def word(self, value: u32) -> None:
        self.put_word(self.length, value)
        self.length += 4

    def word_at(self, place: u64) -> u32:
        """What was written there; 0 if it did not fit."""
        if place + 4 > len(self.bytes):
            return 0
        return view(Word, self.bytes, place).value

    def put_word(self, place: u64, value: u32) -> None:
        if place + 4 <= len(self.bytes):
            view(Word, self.bytes, place).value = value

    def jump(self, label: Label) -> None:
        self.byte(0xE9)
        self._distance(label)

    def jump_if(self, condition: u8, label: Label) -> None:
        self.two(0x0F, condition)
        self._distance(label)

    def _distance(self, label: Label) -> None:
        place = u32(self.length)
        self.word(label.last)
        label.last = place

    @noinline
    def here(self, label: Label) -> None:
        """Lead all jumps to `label` to this place."""
        place = label.last
        while place != 0:
            before = self.word_at(place)
            self.put_word(place, u32(self.length) - place - 4)
            place = before

    def answer(self, number: u32) -> None:
        """Return it, as an i64."""
        self.three(0x48, 0xC7, 0xC0)  # mov rax, number
        self.word(number)
        self.byte(0xC3)

    def compare(self, value: u32) -> None:
        self.byte(0x3D)  # cmp eax, value
        self.word(value)

    def load(self, opcode: u8, register: u8, level: u64, offset: u32) -> None:
        """`opcode register, [frame + distance + offset]`; 0f stands before all opcodes but 8b."""
        small = offset < 128
        mode = (u8(0x40) if small else u8(0x80)) | register << 3
        if level > 0:
            self.byte(0x42)
        if opcode != 0x8B:
            self.byte(0x0F)
        self.byte(opcode)
        if level > 0:
            self.two(mode | 4, u8(level - 1) << 3 | 7)
        else:
            self.byte(mode | 7)
        if small:
            self.byte(u8(offset))
        else:
            self.word(offset)


def generate(table: Table, space: Span[u8]) -> u64:
    """Write the code for all filters of a table. Returns its length, or 0 when `space` is too small."""
    code = Code(space, 0)
    miss = Label(0)
    _choose_field(code, table, 0, table.count, 0, 0, 0, miss)
    code.here(miss)
    code.answer(u32(0xFFFF_FFFF))
    return code.length if code.length <= len(space) else u64(0)


def _choose_field(
    code: Code, table: Table, first: u64, last: u64, depth: u64, level: u64, known: u64, miss: Label
) -> None:
    """The filters at these places, whose first `depth` steps are fulfilled, `level` shifts among them. The frame is known
    to have `known` bytes from where the last one led.
    """
    while first < last:
        number = table.order[first]
        if table.filters[number].count == depth:
            code.answer(u32(number))
            return
        end = same_field(table, first, last, depth)
        if end == last:
            _look(code, table, first, end, depth, level, known, miss)
            return
        next = Label(0)
        _look(code, table, first, end, depth, level, known, next)
        code.here(next)
        first = end
    code.jump(miss)


def _look(code: Code, table: Table, first: u64, last: u64, depth: u64, level: u64, known: u64, miss: Label) -> None:
    """Those of one field: load it, and go where its value leads."""
    field = step_at(table, first, depth).field
    if field.end() > known:
        known = _least(table, first, last, depth)
        if level == 0:
            code.three(0x48, 0x81, 0xFE)  # cmp rsi, known
            code.word(u32(known))
            code.jump_if(BELOW, miss)
        else:
            code.three(0x49, 0x8D, 0x80 | u8(level - 1))  # lea rax, [distance + known]
            code.word(u32(known))
            code.three(0x48, 0x39, 0xF0)  # cmp rax, rsi
            code.jump_if(ABOVE, miss)
    _load(code, field, level)
    if field.moves:
        code.three(0x48, 0xC1, 0xE0)  # shl rax, shift
        code.byte(field.shift)
        if level > 0:
            code.three(0x4C, 0x01, 0xC0 | u8(level - 1) << 3)  # add rax, distance
        code.three(0x49, 0x89, 0xC0 | u8(level))  # mov next distance, rax
        _choose_field(code, table, first, last, depth + 1, level + 1, 0, miss)
    else:
        _choose_value(code, table, first, last, depth, level, known, miss)


def _least(table: Table, first: u64, last: u64, depth: u64) -> u64:
    """How long a frame must be for any of these filters, from where the last shift led, as far as the next one."""
    least: u64 = 0xFFFF_FFFF
    for place in range(first, last):
        filter = table.filters[table.order[place]]
        end: u64 = 0
        for i in range(depth, u64(filter.count)):
            end = max(end, filter.steps[i].field.end())
            if filter.steps[i].field.moves:
                break
        least = min(least, end)
    return least


def _load(code: Code, field: Field, level: u64) -> None:
    """The field to `eax`, masked. The upper half of `rax` is 0."""
    offset = u32(field.offset)
    full: u32 = 0xFFFF_FFFF
    if field.width == 1:
        code.load(0xB6, 0, level, offset)
        full = 0xFF
    elif field.width == 2:
        code.load(0xB7, 0, level, offset)
        full = 0xFFFF
        if field.moves:
            code.two(0x66, 0xC1)  # rol ax, 8
            code.two(0xC0, 8)
    elif field.width == 4:
        code.load(0x8B, 0, level, offset)
        if field.moves:
            code.two(0x0F, 0xC8)  # bswap eax
    elif offset > 0:
        code.load(0x8B, 0, level, offset - 1)  # with the byte before, since the one behind may not be there
        code.three(0xC1, 0xE8, 8)  # shr eax, 8
        full = 0xFF_FFFF
    else:
        code.load(0xB6, 1, level, 2)
        code.load(0xB7, 0, level, 0)
        code.three(0xC1, 0xE1, 16)  # shl ecx, 16
        code.two(0x09, 0xC8)  # or eax, ecx
        full = 0xFF_FFFF
    if field.mask() != full:
        code.byte(0x25)  # and eax, mask
        code.word(field.mask())


def _choose_value(
    code: Code, table: Table, first: u64, last: u64, depth: u64, level: u64, known: u64, miss: Label
) -> None:
    """Those of one field, which is in `eax`."""
    count: u64 = 0
    place = first
    while place < last:
        count += 1
        place = _behind(table, place, last, depth)
    if count <= FEW or not _hash(code, table, first, last, count, depth, level, known, miss):
        _halve(code, table, first, last, depth, level, known, miss)


def _behind(table: Table, place: u64, last: u64, depth: u64) -> u64:
    """Where those end that have the same value as the one at `place`."""
    return same_value(table, place, last, depth, step_at(table, place, depth).value)


def _halve(code: Code, table: Table, first: u64, last: u64, depth: u64, level: u64, known: u64, miss: Label) -> None:
    middle = first_value(table, first, last, depth, step_at(table, (first + last) // 2, depth).value)
    if middle == first:
        middle = _behind(table, first, last, depth)
    if middle == last:
        code.compare(step_at(table, first, depth).value)
        code.jump_if(NOT_EQUAL, miss)
        _choose_field(code, table, first, last, depth + 1, level, known, miss)
        return
    code.compare(step_at(table, middle, depth).value)
    upper = Label(0)
    code.jump_if(ABOVE_OR_EQUAL, upper)
    _halve(code, table, first, middle, depth, level, known, miss)
    code.here(upper)
    _halve(code, table, middle, last, depth, level, known, miss)


# ---- hash tables
# An entry is a value and the distance from the table to its code; without code it is empty, and its value one that
# stands elsewhere, where it is found first.


def _hash(
    code: Code, table: Table, first: u64, last: u64, count: u64, depth: u64, level: u64, known: u64, miss: Label
) -> bool:
    """As _choose_value. False, and nothing written: there is no room, or no good multiplier."""
    bits: u64 = 1
    while u64(1) << bits < 4 * count:
        bits += 1
    start = code.length
    where = (start + HASH_BYTES + 7) & ~7
    if where + (u64(8) << bits) > len(code.bytes):
        return False
    multiplier: u32 = 0
    for candidate in MULTIPLIERS:
        if _fill(code, table, first, last, depth, where, bits, candidate):
            multiplier = candidate
            break
    if multiplier == 0:
        return False
    code.two(0x69, 0xC8)  # imul ecx, eax, multiplier
    code.word(multiplier)
    code.three(0xC1, 0xE9, 32 - u8(bits))  # shr ecx, 32 - bits
    code.three(0x48, 0x8D, 0x15)  # lea rdx, [table]
    code.word(u32(where - code.length) - 4)
    code.three(0x39, 0x04, 0xCA)  # again: cmp [rdx + rcx * 8], eax
    code.two(0x74, 21)  # je found
    code.three(0x83, 0x7C, 0xCA)  # cmp dword ptr [rdx + rcx * 8 + 4], 0
    code.two(4, 0)
    code.jump_if(EQUAL, miss)
    code.two(0xFF, 0xC1)  # inc ecx
    code.two(0x81, 0xE1)  # and ecx, (1 << bits) - 1
    code.word((u32(1) << bits) - 1)
    code.two(0xEB, 0xE6)  # jmp again
    code.two(0x8B, 0x4C)  # found: mov ecx, [rdx + rcx * 8 + 4]
    code.two(0xCA, 4)
    code.three(0x48, 0x01, 0xD1)  # add rcx, rdx
    code.two(0xFF, 0xE1)  # jmp rcx
    assert code.length == start + HASH_BYTES
    code.length = where + (u64(8) << bits)
    place = first
    while place < last:
        end = _behind(table, place, last, depth)
        entry = where + 8 * _entry(code, where, bits, multiplier, step_at(table, place, depth).value)
        code.put_word(entry + 4, u32(code.length - where))
        _choose_field(code, table, place, end, depth + 1, level, known, miss)
        place = end
    return True


HASH_BYTES = 51  # of the code that _hash writes


def _fill(code: Code, table: Table, first: u64, last: u64, depth: u64, where: u64, bits: u64, multiplier: u32) -> bool:
    """Enter the values, with a distance that is not 0. False when one is PROBES steps or more from where it belongs."""
    common = step_at(table, first, depth).value
    for i in range(u64(1) << bits):
        code.put_word(where + 8 * i, common)
        code.put_word(where + 8 * i + 4, 0)
    place = first
    while place < last:
        value = step_at(table, place, depth).value
        entry = u64(value * multiplier >> (32 - bits))
        steps: u64 = 0
        while code.word_at(where + 8 * entry + 4) != 0:
            steps += 1
            entry = (entry + 1) & ((u64(1) << bits) - 1)
        if steps >= PROBES:
            return False
        code.put_word(where + 8 * entry, value)
        code.put_word(where + 8 * entry + 4, 1)
        place = _behind(table, place, last, depth)
    return True


def _entry(code: Code, where: u64, bits: u64, multiplier: u32, value: u32) -> u64:
    """Where _fill has put a value: the first that has it, since what lies before is not empty."""
    entry = u64(value * multiplier >> (32 - bits))
    while code.word_at(where + 8 * entry) != value:
        entry = (entry + 1) & ((u64(1) << bits) - 1)
    return entry
