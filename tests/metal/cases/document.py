# SPDX-License-Identifier: MIT
"""The examples in the sentences of docs/dialect.md, letter for letter; `test_dialect_document.py` finds them here."""

from collections.abc import Callable
from typing import Final, TypeVar

from cases import counters

from exokernel.metal import *
from casebook import ASSERT, EXPLICIT, compare, expect

T = TypeVar("T")


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


@bits(u64)
class PageTableEntry:
    present: bool = field(0)
    writable: bool = field(1)
    frame: u64 = field(12, 51)


@struct
class Inner:
    x: u32


@struct
class Outer:
    inner: Inner


@struct(packed=True)
class Header:
    kind: u8
    length: u16be


@struct(volatile=True)
class Device:
    status: u32


@struct(align=64)
class Line:
    field: u8


@struct
class Entry:
    key: u32


count: u64 = 0
table: Array[Entry, 64] = Array[Entry, 64]()
page: Array[u8, 64] = aligned(4096, Array[u8, 64]())
elsewhere: u64 = placed(".section", 7)


def make_table() -> list[int]:
    return [i * i & 0xFFFF for i in range(256)]


CRC: Final[Array[u32, 256]] = Array[u32, 256](make_table())


def arithmetic(x: u8, y: i32) -> tuple[u8, u8, u32, bool, u8, i32]:
    return x + x, u8(x), u32(True), bool(x), 0 - x, abs(y)


expect(arithmetic, (200, -7), (144, 200, 1, True, 56, 7))


def conditional(x: u8, y: u8, c: bool) -> u8:
    z: u8 = x if c else y
    return z if x != 0 else min(x, y) + max(x, y)


compare(conditional, (1, 2, True), (0, 2, False))


def literal() -> u64:
    x: u64 = 5
    return x


expect(literal, (), 5)


def objects() -> tuple[u32, u32, u32, bool, u64, u64]:
    p = Point(1, 2)
    q = Point(x=1)
    a = Outer()
    b = Inner(x=9)
    a.inner.x = 1
    before = a.inner.x
    a.inner.copy_from(b)
    same = a.inner is b
    return p.sum() + q.y, before, a.inner.x, same, sizeof(Point), offsetof(Line, "field")


expect(objects, (), (3, 1, 9, False, 8, 0))


def identity_and_copy() -> tuple[bool, u32]:
    a = Point(1, 2)
    b = Point(3, 4)
    same = a is b
    a.copy_from(b)
    return same, a.x


expect(identity_and_copy, (), (False, 3))


def device() -> u32:
    d = Device()
    d.status = 3
    return d.status


expect(device, (), 3)


def bit_fields(raw: u64) -> tuple[bool, u64, u64, u64, bool]:
    e = PageTableEntry(raw)
    old = e.frame
    e.frame = 9
    return e.present, old, e.raw, PageTableEntry(present=True, frame=7).raw, e != PageTableEntry(raw)


expect(bit_fields, 0x5001, (True, 5, 0x9001, 0x7001, True))


def arrays(i: u64, j: u64, v: u8) -> tuple[u8, u64, u64, u64, u64, u32]:
    zeroed = Array[u8, 64]()
    a = Array[u8, 4]([1, 2, 3, 4])
    b = Array[u8, 4](b"abcd")
    first = a[i]
    lengths = len(a[i:j]) * 100 + len(a[i:]) * 10 + len(a[:j])
    total: u32 = 0
    for x in a:
        total += x
    a.copy_from(b)
    moved = b[3]
    a.fill(v)
    return first, lengths, len(a[:]), len(a), len(zeroed), total * 1000 + u32(a[0]) + moved


compare(arrays, (1, 3, 7), (0, 4, 0), (4, 4, 0), (3, 2, 0))


def spans() -> u32:
    a = Array[u32, 4]([1, 2, 3, 4])
    pointer = addr(a[0])
    length = len(a)
    s = Span[u32](pointer, length)
    return s[3]


expect(spans, (), 4)


def text(data: Span[u8], offset: u64) -> tuple[u64, u8, u16]:
    s = "..."
    return len(s.encode()) + len(b"..."), view(Header, data).kind, view(Header, data, offset).length


compare(text, (b"123456", 2), (b"123456", 4), (b"12", 0))


def pointers(i: u64, n: u64) -> tuple[u32, u32, i64, bool, u32, u8]:
    a = Array[u32, 4]([10, 20, 30, 40])
    p = addr(a[0])
    q = p + n
    address = u64(p)
    whole = addr(a)
    return p[i], q[0], p - q, bool(Ptr[u32](0)), Ptr[u32](address)[1], Ptr[u8](p)[0] + u8(whole[0][3])


compare(pointers, (1, 2), (3, 0))


def parse(data: bytes) -> tuple[u32, bool]:
    return u32(len(data)), len(data) > 2


def tuples(data: bytes) -> tuple[u32, u32]:
    value, ok = parse(data)
    a = value
    b = u32(ok)
    a, b = b, a
    return a, b


expect(tuples, b"abc", (1, 3))


def double(x: u32) -> u32:
    return x * 2


def references(x: u32) -> tuple[u32, bool]:
    f: Callable[[u32], u32] = double
    return f(x), u64(f) == u64(double)


expect(references, 4, (8, True))


def largest(a: T, b: T) -> T:
    return a if a > b else b


def generic(a: u8, b: i64) -> tuple[u8, i64]:
    return largest(a, 7), largest(b, -7)


compare(generic, (1, -9), (9, 1))


@inline
def inlined(x: u32) -> u32:
    return x + 1


@noinline
def kept_apart(x: u32) -> u32:
    return x + 2


@cold
def seldom_called(x: u32) -> u32:
    return x + 7


@export
def document_exported(x: u32) -> u32:
    return x + 3


@align(64)
def aligned_code(x: u32) -> u32:
    return x + 4


@section(".text.boot")
def placed_code(x: u32) -> u32:
    return x + 5


@calling_convention("preserve_nonecc")
def other_convention(x: u32) -> u32:
    return x + 6


@noreturn
def stop() -> None:
    trap()


def decorated(x: u32) -> u32:
    if x == 9:
        stop()
    if x == 8:
        return seldom_called(x)
    return inlined(x) + kept_apart(x) + document_exported(x) + aligned_code(x) + placed_code(x) + other_convention(x)


expect(decorated, 1, 27)
expect(decorated, 8, 15)
expect(decorated, 9, traps=EXPLICIT)


def asserts(condition: bool) -> None:
    assert condition, "text"


expect(asserts, False, traps=ASSERT)
expect(asserts, True, None)


def variables() -> tuple[u64, u64, u32, u64, u64]:
    global count
    count += 1
    counters.count = 1
    table[3].key = 5
    return count, counters.count, table[3].key + CRC[3], u64(addr(page)) % 4096, elsewhere


expect(variables, (), (1, 1, 14, 0, 7))


def printing(value: u32, x: u8, y: u32) -> u64:
    print("text", value, f"{x} {y:08x}")
    print(value, x, sep="-", end="")
    print(f"{x:c}", f"{y:#x}")
    buffer = Array[u8, 8]()
    return format_into(buffer, f"{x}")


expect(printing, (5, 65, 255), 2, prints="text 5 65 000000ff\n5-65A 0xff\n")


def exchange(p: Ptr[u32], old: u32, new: u32) -> bool:
    return atomic_compare_exchange(p, old, new)


def machine(v: u32) -> tuple[u32, u32, u32, bool, u32]:
    cell = Array[u32, 1]([1])
    p = addr(cell[0])
    volatile_store(p, v)
    old = atomic_add(p, v) + atomic_sub(p, v) + atomic_and(p, v) + atomic_or(p, v) + atomic_xor(p, v)
    atomic_store(p, v)
    new = atomic_exchange(p, v)
    old += p[0]
    fence()
    compiler_barrier()
    new += 1
    old -= new
    new = v + 1
    old += v
    exchanged = exchange(p, v, new)
    return volatile_load(p), old, new, exchanged, atomic_load(p)


compare(machine, 0, 1, 5)


def bit_tricks(x: u64, n: u64, a: u64, b: u64) -> tuple[u64, u64, u64, u64, u64, u64, u64]:
    zeros = count_leading_zeros(x) * 100 + count_trailing_zeros(x)
    return byte_swap(x), zeros, count_ones(x), rotate_left(x, n), multiply_high(a, b), add_end_around(a, b), n


compare(bit_tricks, (0, 0, 0, 0), (0x1234, 77, 1 << 63, 6))


def stops(x: u32) -> u32:
    if x == 1:
        trap()
    if x < 10:
        return x
    unreachable()


compare(stops, 1, 2)


def negative_mask(x: u32, n: u8) -> tuple[u32, u64]:
    return x & ~0xFFF, u64(1) << n


expect(negative_mask, (0x12345, 40), (0x12000, 1 << 40))
expect(negative_mask, (0xFFFFFFFF, 64), (0xFFFFF000, 0))
