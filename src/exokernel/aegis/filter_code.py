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

Everything is written anew for each change, in pieces: who calls `go_on` says how many steps it may take, and what is
reached later than that is kept for the next call, as a range of the table and the jump that is to lead to its code. There
are never more of these than filters. A step is one filter looked at: for its length, its value, or its place in a hash
table. One node is finished even if the steps are used up. Recursion is as deep as a filter has steps, and
log2(FILTERS) more: at most 8 KiB of the kernel's stack.

`rdi` is the frame, `rsi` its length, `eax` the field, `r8` to `r11` the distances to which shifts have led; `rcx` and
`rdx` are for the moment.
"""

from typing import Final

from exokernel.aegis.filter import FILTERS, Field, Table, first_value, same_field, same_value, step_at
from exokernel.metal import Array, Ptr, Span, addr, noinline, struct, u8, u16, u32, u64, view

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


@struct(packed=True)
class Long:
    value: u64


@struct
class Rest:
    """What is still to be written: the filters at these places, whose first `depth` steps are fulfilled."""

    first: u16
    last: u16
    depth: u16
    level: u16
    known: u32
    place: u32  # of the distance that leads there; 0: none, it is the beginning
    base: u32  # from where the distance counts
    miss: u32  # a jump to where a frame that none of them matches is led; of the beginning 0


@struct
class Code:
    """Machine code being written. What does not fit is counted, not written."""

    bytes: Span[u8]
    length: u64
    steps: u64  # that are left in this call of `go_on`
    waiting: u64
    rests: Array[Rest, FILTERS]

    @noinline
    def put(self, value: u64, count: u64) -> None:
        """Append up to eight bytes, the lowest first. What is behind them is not yet written."""
        place = self.length
        self.length += count
        if place + 8 <= len(self.bytes):
            view(Long, self.bytes, place).value = value
            return
        for i in range(count):
            if place + i < len(self.bytes):
                self.bytes[place + i] = u8(value >> 8 * i)

    def word_at(self, place: u64) -> u32:
        """What was written there; 0 if it did not fit."""
        if place + 4 > len(self.bytes):
            return 0
        return view(Word, self.bytes, place).value

    def put_word(self, place: u64, value: u32) -> None:
        if place + 4 <= len(self.bytes):
            view(Word, self.bytes, place).value = value

    def spend(self, steps: u64) -> None:
        self.steps -= min(self.steps, steps)

    def jump(self, label: Label) -> None:
        self.put(u64(label.last) << 8 | 0xE9, 5)
        label.last = u32(self.length) - 4

    def jump_if(self, condition: u8, label: Label) -> None:
        self.put(u64(label.last) << 16 | u64(condition) << 8 | 0x0F, 6)
        label.last = u32(self.length) - 4

    @noinline
    def here(self, label: Label) -> None:
        """Lead all jumps to `label` to this place."""
        place = u64(label.last)
        while place != 0:
            before = self.word_at(place)
            self.put_word(place, u32(self.length - place) - 4)
            place = u64(before)

    def answer(self, number: u32) -> None:
        """Return it, as an i64."""
        self.put(u64(number) << 24 | 0xC0C748, 7)  # mov rax, number
        self.put(0xC3, 1)

    def compare(self, value: u32) -> None:
        self.put(u64(value) << 8 | 0x3D, 5)  # cmp eax, value

    def load(self, opcode: u8, register: u8, level: u64, offset: u32) -> None:
        """`opcode register, [frame + distance + offset]`; 0f stands before all opcodes but 8b."""
        small = offset < 128
        mode = (u8(0x40) if small else u8(0x80)) | register << 3
        if level > 0:
            self.put(0x42, 1)
        if opcode != 0x8B:
            self.put(0x0F, 1)
        if level > 0:
            self.put(u64(u8(level - 1) << 3 | 7) << 16 | u64(mode | 4) << 8 | opcode, 3)
        else:
            self.put(u64(mode | 7) << 8 | opcode, 2)
        self.put(offset, 1 if small else 4)

    def keep(self, first: u64, last: u64, depth: u64, level: u64, known: u64, place: u64, base: u64, miss: u64) -> None:
        rest = self.rests[self.waiting]
        self.waiting += 1
        rest.first, rest.last, rest.depth, rest.level = u16(first), u16(last), u16(depth), u16(level)
        rest.known, rest.place, rest.base, rest.miss = u32(known), u32(place), u32(base), u32(miss)


def begin(code: Code, table: Table, space: Span[u8]) -> None:
    """Forget what was written, and write into `space`, which must live as long as `code`. Until `go_on` says that it is
    whole the table must not change.
    """
    code.bytes = Span[u8](Ptr[u8](u64(addr(space[0]))), len(space))
    code.length = 0
    code.waiting = 0
    code.keep(0, table.count, 0, 0, 0, 0, 0, 0)


def go_on(code: Code, table: Table, steps: u64) -> bool:
    """Write more, in about so many steps; whether it is whole. If `length` is then more than the space, it is useless."""
    code.steps = steps
    while code.waiting != 0 and code.steps != 0:
        code.waiting -= 1
        rest = Rest()
        rest.copy_from(code.rests[code.waiting])
        if rest.place != 0:
            code.put_word(u64(rest.place), u32(code.length) - rest.base)
        miss = Label(0)
        _choose_field(
            code, table, u64(rest.first), u64(rest.last), u64(rest.depth), u64(rest.level), u64(rest.known), miss
        )
        code.here(miss)
        if rest.place == 0:
            code.answer(u32(0xFFFF_FFFF))
        elif miss.last != 0:
            code.put(u64(rest.miss - u32(code.length) - 5) << 8 | 0xE9, 5)  # jmp
    return code.waiting == 0


def _choose_field(
    code: Code, table: Table, first: u64, last: u64, depth: u64, level: u64, known: u64, miss: Label
) -> None:
    """The filters at these places, whose first `depth` steps are fulfilled, `level` shifts among them. The frame is known
    to have `known` bytes from where the last one led.
    """
    if code.steps == 0:
        code.put(0xE9, 5)  # jmp
        place = code.length - 4
        code.keep(first, last, depth, level, known, place, code.length, code.length)
        code.jump(miss)
        return
    while first < last:
        code.spend(1)
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
        code.spend(last - first)
        known = _least(table, first, last, depth)
        if level == 0:
            code.put(known << 24 | 0xFE8148, 7)  # cmp rsi, known
            code.jump_if(BELOW, miss)
        else:
            code.put(known << 24 | (0x80 | level - 1) << 16 | 0x8D49, 7)  # lea rax, [distance + known]
            code.put(0xF03948, 3)  # cmp rax, rsi
            code.jump_if(ABOVE, miss)
    _load(code, field, level)
    if field.moves:
        code.put(u64(field.shift) << 24 | 0xE0C148, 4)  # shl rax, shift
        if level > 0:
            code.put((0xC0 | level - 1 << 3) << 16 | 0x014C, 3)  # add rax, distance
        code.put((0xC0 | level) << 16 | 0x8949, 3)  # mov next distance, rax
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
            code.put(0x08C0C166, 4)  # rol ax, 8
    elif field.width == 4:
        code.load(0x8B, 0, level, offset)
        if field.moves:
            code.put(0xC80F, 2)  # bswap eax
    elif offset > 0:
        code.load(0x8B, 0, level, offset - 1)  # with the byte before, since the one behind may not be there
        code.put(0x08E8C1, 3)  # shr eax, 8
        full = 0xFF_FFFF
    else:
        code.load(0xB6, 1, level, 2)
        code.load(0xB7, 0, level, 0)
        code.put(0xC80910E1C1, 5)  # shl ecx, 16; or eax, ecx
        full = 0xFF_FFFF
    if field.mask() != full:
        code.put(u64(field.mask()) << 8 | 0x25, 5)  # and eax, mask


def _choose_value(
    code: Code, table: Table, first: u64, last: u64, depth: u64, level: u64, known: u64, miss: Label
) -> None:
    """Those of one field, which is in `eax`."""
    count: u64 = 0
    place = first
    while place < last:
        count += 1
        place = _behind(table, place, last, depth)
    code.spend(count)
    if count <= FEW or not _hash(code, table, first, last, count, depth, level, known, miss):
        _halve(code, table, first, last, depth, level, known, miss)


def _behind(table: Table, place: u64, last: u64, depth: u64) -> u64:
    """Where those end that have the same value as the one at `place`."""
    if place + 1 == last or step_at(table, place + 1, depth).value != step_at(table, place, depth).value:
        return place + 1
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
    where = (start + HASH_BYTES + 14) & ~7  # `put` writes up to 7 bytes more
    if where + (u64(8) << bits) > len(code.bytes):
        return False
    multiplier: u32 = 0
    for candidate in MULTIPLIERS:
        code.spend(count)
        if _fill(code, table, first, last, depth, where, bits, candidate):
            multiplier = candidate
            break
    if multiplier == 0:
        return False
    code.put(u64(multiplier) << 16 | 0xC869, 6)  # imul ecx, eax, multiplier
    code.put(u64(32 - bits) << 16 | 0xE9C1, 3)  # shr ecx, 32 - bits
    code.put(where - code.length - 7 << 24 | 0x158D48, 7)  # lea rdx, [table]
    code.put(0x15_74_CA0439, 5)  # again: cmp [rdx + rcx * 8], eax; je found
    code.put(0x04CA7C83, 5)  # cmp dword ptr [rdx + rcx * 8 + 4], 0
    code.jump_if(EQUAL, miss)
    code.put(0xC1FF, 2)  # inc ecx
    code.put((u64(1) << bits) - 1 << 16 | 0xE181, 6)  # and ecx, (1 << bits) - 1
    code.put(0xE6EB, 2)  # jmp again
    code.put(0x04CA4C8B, 4)  # found: mov ecx, [rdx + rcx * 8 + 4]
    code.put(0xE1FF_D10148, 5)  # add rcx, rdx; jmp rcx
    assert code.length == start + HASH_BYTES
    code.length = where + (u64(8) << bits)
    missed: u64 = 0
    place = first
    while place < last:
        end = _behind(table, place, last, depth)
        entry = where + 8 * _entry(code, where, bits, multiplier, step_at(table, place, depth).value)
        if code.steps == 0:
            if missed == 0:
                missed = code.length
                code.jump(miss)
            code.keep(place, end, depth + 1, level, known, entry + 4, where, missed)
        else:
            code.put_word(entry + 4, u32(code.length - where))
            _choose_field(code, table, place, end, depth + 1, level, known, miss)
        place = end
    return True


HASH_BYTES = 51  # of the code that _hash writes


def _fill(code: Code, table: Table, first: u64, last: u64, depth: u64, where: u64, bits: u64, multiplier: u32) -> bool:
    """Enter the values, with a distance that is not 0. False when one is PROBES steps or more from where it belongs."""
    common = step_at(table, first, depth).value
    Span[u64](Ptr[u64](u64(addr(code.bytes[where]))), u64(1) << bits).fill(u64(common))
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
