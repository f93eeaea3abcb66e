# SPDX-License-Identifier: MIT
"""Arrays, spans and slices: checks, aliasing, iteration, filling, copying."""

from exokernel.metal import *
from casebook import INDEX, LENGTHS, SLICE, compare, compare_edges, expect


@struct
class Cell:
    key: u16
    value: u32


def zeroed(i: u64) -> u32:
    a = Array[u32, 4]()
    return a[i]


compare(zeroed, 0, 3, 4, 1 << 63)
expect(zeroed, 3, 0)
expect(zeroed, 4, traps=INDEX)
expect(zeroed, 0xFFFFFFFFFFFFFFFF, traps=INDEX)


def listed(i: u8) -> i16:
    a = Array[i16, 5]([-1, 2, -3, 32767, -32768])
    return a[i]


compare(listed, 0, 1, 2, 3, 4, 5, 255)
expect(listed, 4, -32768)
expect(listed, 5, traps=INDEX)


def listed_values(x: u32, y: u32) -> u32:
    a = Array[u32, 3]([x, y, x + y])
    return a[0] * 100 + a[1] * 10 + a[2]


compare_edges(listed_values)


def from_bytes(i: u32) -> u8:
    a = Array[u8, 4](b"ab\x00\xff")
    return a[i]


compare(from_bytes, 0, 1, 2, 3, 4)
expect(from_bytes, 3, 255)


def negative_constant_index() -> tuple[u8, u8]:
    a = Array[u8, 3]([1, 2, 3])
    a[-2] = 9
    return a[-1], a[1]


expect(negative_constant_index, (), (3, 9))


def store_checked(i: u64, v: u8) -> u8:
    a = Array[u8, 3]()
    a[i] = v
    return a[0] + a[1] + a[2]


compare(store_checked, (0, 5), (2, 5), (3, 5))
expect(store_checked, (3, 5), traps=INDEX)


def augmented_element(i: u64) -> u8:
    a = Array[u8, 3]([250, 1, 2])
    a[i] += 10
    a[i] ^= 1
    return a[i]


compare(augmented_element, 0, 1, 2, 3)
expect(augmented_element, 0, 5)


def aliases(v: u32) -> u32:
    a = Array[u32, 2]()
    b = a
    b[1] = v
    return a[1]


compare_edges(aliases)


def length_of_array() -> u64:
    a = Array[u16, 7]()
    return len(a)


expect(length_of_array, (), 7)


def sum_elements() -> u32:
    a = Array[u32, 4]([1, 2, 3, 4])
    total: u32 = 0
    for x in a:
        total += x
    return total


expect(sum_elements, (), 10)


def element_variable_is_a_copy() -> u32:
    a = Array[u32, 2]([1, 2])
    for x in a:
        x += 100
    return a[0] + a[1]


expect(element_variable_is_a_copy, (), 3)


def element_reference_is_no_copy() -> u32:
    a = Array[Cell, 3]()
    for cell in a:
        cell.value += 5
        cell.key = 1
    return a[0].value + a[2].value + a[1].key


expect(element_reference_is_no_copy, (), 11)


def iteration_sees_changes() -> u32:
    a = Array[u32, 4]([1, 1, 1, 1])
    total: u32 = 0
    for i, x in enumerate(a):
        total += x
        if i < 3:
            a[i + 1] = x * 2
    return total


expect(iteration_sees_changes, (), 15)


def enumerate_span(n: u64) -> u64:
    a = Array[u8, 5]([5, 4, 3, 2, 1])
    total: u64 = 0
    for i, x in enumerate(a[1:n]):
        total += i * 10 + x
    return total


compare(enumerate_span, 1, 2, 5, 6, 0)
expect(enumerate_span, 5, 70)
expect(enumerate_span, 6, traps=SLICE)
expect(enumerate_span, 0, traps=SLICE)


def array_in_array(i: u64, j: u64) -> u16:
    grid = Array[Array[u16, 3], 2]()
    for y in range(2):
        for x in range(3):
            grid[y][x] = u16(y * 10 + x)
    return grid[i][j]


compare(array_in_array, (0, 0), (1, 2), (0, 3), (2, 0))
expect(array_in_array, (1, 2), 12)
expect(array_in_array, (0, 3), traps=INDEX)
expect(array_in_array, (2, 0), traps=INDEX)


def row_aliases() -> u16:
    grid = Array[Array[u16, 3], 2]()
    row = grid[1]
    row[2] = 8
    return grid[1][2] + grid[0][2]


expect(row_aliases, (), 8)


def array_of_structs(i: u64) -> u32:
    a = Array[Cell, 4]()
    for k in range(4):
        a[k].key = u16(k)
        a[k].value = u32(k) * 1000
    chosen = a[i]
    chosen.value += 1
    return a[i].value + a[i].key


compare(array_of_structs, 0, 3, 4)
expect(array_of_structs, 2, 2003)


def bool_array(i: u64) -> u32:
    a = Array[bool, 3]([True, False, True])
    a[1] = i == 1
    n: u32 = 0
    for flag in a:
        if flag:
            n += 1
    return n


compare(bool_array, 0, 1)


def big_endian_elements(v: u16) -> tuple[u16, u8, u8]:
    a = Array[u16be, 2]()
    a[1] = v
    raw = Ptr[u8](addr(a))
    return a[1], raw[2], raw[3]


compare_edges(big_endian_elements)
expect(big_endian_elements, 0x1234, (0x1234, 0x12, 0x34))


def big_endian_listed() -> u32:
    a = Array[u32be, 2]([1, 0x01020304])
    total: u32 = 0
    for x in a:
        total += x
    return total


expect(big_endian_listed, (), 0x01020305)


def fill_all(v: i32) -> i32:
    a = Array[i32, 4]()
    a.fill(v)
    return a[0] ^ a[3] ^ a[1]


compare_edges(fill_all)


def fill_part(v: u8) -> tuple[u8, u8, u8, u8]:
    a = Array[u8, 4]([1, 2, 3, 4])
    a[1:3].fill(v)
    return a[0], a[1], a[2], a[3]


expect(fill_part, 9, (1, 9, 9, 4))


def copy_arrays() -> u32:
    a = Array[u32, 3]([1, 2, 3])
    b = Array[u32, 3]()
    b.copy_from(a)
    a[0] = 50
    return b[0] * 100 + b[1] * 10 + b[2]


expect(copy_arrays, (), 123)


def copy_spans(i: u64, j: u64) -> u32:
    a = Array[u32, 4]([1, 2, 3, 4])
    b = Array[u32, 4]()
    b[:i].copy_from(a[j:])
    return b[0] * 1000 + b[1] * 100 + b[2] * 10 + b[3]


compare(copy_spans, (4, 0), (2, 2), (0, 4), (2, 0), (5, 0), (0, 5))
expect(copy_spans, (2, 2), 3400)
expect(copy_spans, (2, 0), traps=LENGTHS)
expect(copy_spans, (5, 0), traps=SLICE)


def copy_overlapping_up() -> u32:
    a = Array[u8, 4]([1, 2, 3, 4])
    a[1:4].copy_from(a[0:3])
    return u32(a[0]) * 1000 + u32(a[1]) * 100 + u32(a[2]) * 10 + a[3]


expect(copy_overlapping_up, (), 1123)


def copy_overlapping_down() -> u32:
    a = Array[u8, 4]([1, 2, 3, 4])
    a[0:3].copy_from(a[1:4])
    return u32(a[0]) * 1000 + u32(a[1]) * 100 + u32(a[2]) * 10 + a[3]


expect(copy_overlapping_down, (), 2344)


def slice_aliases(i: u64, v: u16) -> u16:
    a = Array[u16, 5]([1, 2, 3, 4, 5])
    s = a[i:]
    s[0] = v
    return a[i]


compare(slice_aliases, (0, 7), (4, 7), (5, 7), (6, 7))
expect(slice_aliases, (5, 7), traps=INDEX)
expect(slice_aliases, (6, 7), traps=SLICE)


def slice_lengths(i: u64, j: u64) -> u64:
    a = Array[u8, 10]()
    return len(a[i:j]) * 100 + len(a[i:]) * 10 + len(a[:j])


compare(slice_lengths, (0, 0), (0, 10), (3, 7), (7, 3), (10, 10), (11, 11), (0, 11), (5, 1 << 63))
expect(slice_lengths, (3, 7), 477)
expect(slice_lengths, (7, 3), traps=SLICE)
expect(slice_lengths, (0, 11), traps=SLICE)


def whole_slice() -> u64:
    a = Array[u8, 10]()
    return len(a[:])


expect(whole_slice, (), 10)


def slice_of_slice(i: u64) -> u8:
    a = Array[u8, 8]([0, 1, 2, 3, 4, 5, 6, 7])
    s = a[2:7]
    t = s[1:4]
    return t[i]


compare(slice_of_slice, 0, 2, 3)
expect(slice_of_slice, 2, 5)
expect(slice_of_slice, 3, traps=INDEX)


def narrow_slice_bounds(i: u8, j: u16) -> u64:
    a = Array[u8, 300]()
    return len(a[i:j])


compare(narrow_slice_bounds, (0, 300), (255, 255), (255, 300), (255, 301), (255, 254))


def total_of(data: Span[u32]) -> u32:
    total: u32 = 0
    for x in data:
        total += x
    return total


def array_passes_as_span() -> u32:
    a = Array[u32, 3]([1, 20, 300])
    return total_of(a) + total_of(a[1:]) * 1000


expect(array_passes_as_span, (), 320321)


def span_variable(which: bool) -> u32:
    a = Array[u32, 2]([1, 2])
    b = Array[u32, 3]([10, 20, 30])
    s: Span[u32] = a
    if which:
        s = b
    return total_of(s) + u32(len(s))


compare(span_variable, True, False)
expect(span_variable, True, 63)


def increment_all(data: Span[u8]) -> None:
    for i in range(len(data)):
        data[i] += 1


def span_writes_through() -> u8:
    a = Array[u8, 3]([1, 2, 255])
    increment_all(a)
    increment_all(a[1:])
    return a[0] * 100 + a[1] * 10 + a[2]


expect(span_writes_through, (), 241)


def empty_span_iterates_nothing(n: u64) -> u32:
    a = Array[u32, 3]([1, 2, 3])
    return total_of(a[n:n])


compare(empty_span_iterates_nothing, 0, 3, 4)


def span_from_pointer(n: u64) -> u32:
    a = Array[u32, 4]([1, 2, 3, 4])
    s = Span[u32](addr(a[1]), n)
    return total_of(s)


compare(span_from_pointer, 0, 1, 3)
expect(span_from_pointer, 3, 9)


def span_argument(data: Span[u8], i: u64) -> u8:
    return data[i]


compare(span_argument, (b"hello", 0), (b"hello", 4), (b"hello", 5), (b"", 0))
expect(span_argument, (b"abc", 1), 98)
expect(span_argument, (b"abc", 3), traps=INDEX)


def span_for_else(data: Span[u8], wanted: u8) -> u32:
    for i, x in enumerate(data):
        if x == wanted:
            return u32(i)
    else:
        return 1000
    return 2000


compare(span_for_else, (b"hello", 108), (b"hello", 0), (b"", 0))


def reverse_in_place(data: Span[u8]) -> u8:
    i: u64 = 0
    j = len(data)
    while i < j:
        j -= 1
        data[i], data[j] = data[j], data[i]
        i += 1
    return data[0]


compare(reverse_in_place, b"hello", b"ab", b"x", b"")


def structs_by_span(cells: Span[Cell], bonus: u32) -> u32:
    best = cells[0]
    for cell in cells:
        if cell.value > best.value:
            best = cell
    best.value += bonus
    return best.key


def finds_largest() -> tuple[u32, u32]:
    a = Array[Cell, 3]()
    a[0].value = 5
    a[1].value = 9
    a[1].key = 77
    a[2].value = 7
    key = structs_by_span(a, 100)
    return key, a[1].value


expect(finds_largest, (), (77, 109))


def copy_struct_elements() -> tuple[u32, u16]:
    a = Array[Cell, 2]()
    a[0].value = 6
    a[0].key = 3
    a[1].copy_from(a[0])
    a[0].value = 0
    return a[1].value, a[1].key


expect(copy_struct_elements, (), (6, 3))


def array_in_loop_is_zeroed_each_turn(n: u32) -> u32:
    total: u32 = 0
    for i in range(n):
        a = Array[u32, 4]()
        a[i & 3] += 1
        total += a[0] + a[1] + a[2] + a[3]
    return total


compare(array_in_loop_is_zeroed_each_turn, 0, 1, 9)
expect(array_in_loop_is_zeroed_each_turn, 9, 9)


def index_by_constant_expression() -> u8:
    a = Array[u8, 8](b"abcdefgh")
    return a[2 * 3 + 1]


expect(index_by_constant_expression, (), 104)


def index_by_bool_conversion(flag: bool) -> u8:
    a = Array[u8, 2](b"ab")
    return a[u8(flag)]


compare(index_by_bool_conversion, True, False)


def wrapping_index(i: u8) -> u8:
    a = Array[u8, 4](b"abcd")
    return a[i - 1]


compare(wrapping_index, 0, 1, 4, 5)
expect(wrapping_index, 0, traps=INDEX)


def loop_hits_the_end(n: u64) -> u64:
    a = Array[u64, 8]()
    for i in range(n):
        a[i] = i * i
    return a[7]


compare(loop_hits_the_end, 0, 8, 9)
expect(loop_hits_the_end, 8, 49)
expect(loop_hits_the_end, 9, traps=INDEX)


def descending_loop(n: u64) -> u64:
    a = Array[u64, 8]()
    for i in range(n, 0, -1):
        a[i - 1] = i
    return a[0] * 10 + a[7]


compare(descending_loop, 0, 1, 8, 9)


def array_of_spans_total() -> u32:
    a = Array[u32, 4]([1, 2, 3, 4])
    left = a[:2]
    right = a[2:]
    left, right = right, left
    return total_of(left) * 10 + total_of(right)


expect(array_of_spans_total, (), 73)


def identity_of_arrays() -> tuple[bool, bool]:
    a = Array[u8, 2]()
    b = Array[u8, 2]()
    c = a
    return a is b, a is c


expect(identity_of_arrays, (), (False, True))


def constant_slice_of_array() -> tuple[u8, u64]:
    a = Array[u8, 6](b"abcdef")
    s = a[1:4]
    return s[-1], len(s)


expect(constant_slice_of_array, (), (100, 3))


def size_of_array_type() -> tuple[u64, u64]:
    return sizeof(Array[u32, 5]), sizeof(Array[Cell, 3])


expect(size_of_array_type, (), (20, 24))


def stride_loop() -> u32:
    a = Array[u32, 10]()
    for i in range(0, 10, 3):
        a[i] = 1
    total: u32 = 0
    for i, x in enumerate(a):
        total += x << i
    return total


compare_edges(stride_loop)
expect(stride_loop, (), 0b1001001001)
