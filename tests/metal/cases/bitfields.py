# SPDX-License-Identifier: MIT
"""Bits types: values with named fields, methods by value, distinct integers."""

from exokernel.metal import *
from casebook import compare, compare_edges, expect


@bits(u64)
class Entry:
    present: bool = field(0)
    writable: bool = field(1)
    available: u8 = field(9, 11)
    frame: u64 = field(12, 51)
    no_execute: bool = field(63)

    def address(self) -> u64:
        return self.frame << 12

    def with_frame(self, frame: u64) -> "Entry":
        self.frame = frame
        return self


@bits(u8)
class Small:
    low: u8 = field(0, 3)
    high: u8 = field(4, 7)


@bits(u16)
class Flags:
    kind: u8 = field(0, 7)
    count: u16 = field(8, 15)


@bits(u32)
class Sequence:
    def plus(self, n: u32) -> "Sequence":
        return Sequence(self.raw + n)

    def before(self, other: "Sequence") -> bool:
        return i32(self.raw - other.raw) < 0


@bits(u64)
class Whole:
    everything: u64 = field(0, 63)


@struct
class Table:
    entries: Array[Entry, 4]
    first: Entry
    small: Small


def from_raw(raw: u64) -> tuple[bool, bool, u8, u64, bool]:
    e = Entry(raw)
    return e.present, e.writable, e.available, e.frame, e.no_execute


compare_edges(from_raw)
expect(from_raw, 0x8000000000001E01, (True, False, 7, 1, True))


def from_fields(frame: u64, present: bool, available: u8) -> u64:
    return Entry(frame=frame, present=present, available=available).raw


compare_edges(from_fields)
expect(from_fields, (1, True, 255), 0x1E01)
expect(from_fields, (1 << 40, False, 0), 0)


def fields_not_given_are_zero() -> u64:
    return Entry(writable=True).raw


expect(fields_not_given_are_zero, (), 2)


def write_fields(raw: u64, frame: u64) -> u64:
    e = Entry(raw)
    e.frame = frame
    e.present = not e.present
    e.available = 5
    return e.raw


compare_edges(write_fields)
expect(write_fields, (0xFFFFFFFFFFFFFFFF, 0), 0xFFF0000000000BFE)


def write_drops_bits_that_do_not_fit(value: u8) -> u8:
    s = Small(0xF0)
    s.low = value
    return s.raw


compare_edges(write_drops_bits_that_do_not_fit)
expect(write_drops_bits_that_do_not_fit, 0x5A, 0xFA)


def augmented_fields(raw: u8) -> u8:
    s = Small(raw)
    s.low += 1
    s.high -= 1
    return s.raw


compare_edges(augmented_fields)
expect(augmented_fields, 0x0F, 0xF0)


def a_value_not_a_reference(raw: u8) -> tuple[u8, u8]:
    a = Small(raw)
    b = a
    b.low = 9
    return a.raw, b.raw


compare_edges(a_value_not_a_reference)
expect(a_value_not_a_reference, 0, (0, 9))


def equality(a: u8, b: u8) -> tuple[bool, bool]:
    return Small(a) == Small(b), Small(a) != Small(b)


compare_edges(equality)


def method_by_value(raw: u64) -> tuple[u64, u64]:
    e = Entry(raw)
    f = e.with_frame(3)
    return e.raw, f.raw


compare_edges(method_by_value)
expect(method_by_value, 0, (0, 0x3000))


def chain_of_methods(raw: u64) -> u64:
    return Entry(raw).with_frame(5).address()


expect(chain_of_methods, 0, 0x5000)


def takes(e: Entry) -> u64:
    e.frame = 1
    return e.raw


def parameter_by_value(raw: u64) -> tuple[u64, u64]:
    e = Entry(raw)
    changed = takes(e)
    return e.raw, changed


expect(parameter_by_value, 0, (0, 0x1000))


def in_a_struct_field(frame: u64) -> tuple[u64, u64]:
    t = Table()
    t.first.frame = frame
    t.first.present = True
    copy = t.first
    copy.present = False
    return t.first.raw, copy.raw


compare_edges(in_a_struct_field)
expect(in_a_struct_field, 2, (0x2001, 0x2000))


def in_an_array(i: u64) -> u64:
    t = Table()
    t.entries[i] = Entry(frame=7)
    t.entries[i].writable = True
    t.entries[i].frame += 1
    total: u64 = 0
    for e in t.entries:
        total += e.raw
    return total


compare(in_an_array, 0, 3)
expect(in_an_array, 1, 0x8002)


def in_a_local_array() -> tuple[u8, u8]:
    a = Array[Small, 2]()
    a[1].high = 3
    a[0] = a[1]
    a[0].low = 1
    return a[0].raw, a[1].raw


expect(in_a_local_array, (), (0x31, 0x30))


def through_a_pointer() -> u8:
    t = Table()
    p = addr(t.small)
    p[0].low = 6
    p[0].high = 2
    return t.small.raw


expect(through_a_pointer, (), 0x26)


def sequence_numbers(a: u32, n: u32) -> tuple[u32, bool, bool]:
    s = Sequence(a)
    t = s.plus(n)
    return t.raw, s.before(t), t.before(s)


compare_edges(sequence_numbers)
expect(sequence_numbers, (0xFFFFFFFF, 2), (1, True, False))


def whole_width(raw: u64) -> u64:
    w = Whole(raw)
    w.everything += 1
    return w.everything


compare_edges(whole_width)
expect(whole_width, 0xFFFFFFFFFFFFFFFF, 0)


def size_and_field_types(raw: u16) -> tuple[u64, u8, u16]:
    f = Flags(raw)
    return sizeof(Flags), f.kind, f.count


compare_edges(size_and_field_types)
expect(size_and_field_types, 0x1234, (2, 0x34, 0x12))


def field_arithmetic_has_the_field_type(raw: u16) -> u8:
    return Flags(raw).kind + 255


compare_edges(field_arithmetic_has_the_field_type)
expect(field_arithmetic_has_the_field_type, 1, 0)


def conditional_bits(a: u8, b: u8, c: bool) -> u8:
    s = Small(a) if c else Small(b)
    return s.raw


compare(conditional_bits, (1, 2, True), (1, 2, False))


def copied_with_its_struct() -> u64:
    a = Table()
    a.entries[2].frame = 4
    b = Table()
    b.copy_from(a)
    a.entries[2].frame = 5
    return b.entries[2].frame


expect(copied_with_its_struct, (), 4)


def present_in_condition(raw: u64) -> u32:
    e = Entry(raw)
    if e.present and not e.writable:
        return 1
    return 2 if e.writable else 3


compare(present_in_condition, 0, 1, 2, 3)


def reassigned_in_loop(n: u32) -> u64:
    e = Entry(0)
    for i in range(n):
        e = e.with_frame(e.frame + 1)
        e.writable = not e.writable
    return e.raw


compare(reassigned_in_loop, 0, 1, 5)
expect(reassigned_in_loop, 5, 0x5002)
