# SPDX-License-Identifier: MIT
"""bytes, str and views of packed structs over bytes."""

from exokernel.metal import *
from casebook import INDEX, SLICE, VIEW, compare, compare_edges, expect


@struct(packed=True)
class Header:
    kind: u8
    length: u16be
    address: u32be


def literal_index(i: u64) -> u8:
    return b"hello"[i]


compare(literal_index, 0, 4, 5)
expect(literal_index, 1, 101)
expect(literal_index, 5, traps=INDEX)


def literal_length() -> tuple[u64, u64]:
    return len(b"hello"), len(b"")


expect(literal_length, (), (5, 0))


def escapes() -> u32:
    total: u32 = 0
    for x in b"\x00\xff\n\\\"'":
        total = total * 3 + x
    return total


compare(escapes)


def bytes_parameter(data: bytes, i: u64) -> u8:
    return data[i]


compare(bytes_parameter, (b"xyz", 0), (b"xyz", 2), (b"xyz", 3), (b"", 0))


def iterate_bytes(data: bytes) -> u32:
    total: u32 = 0
    for x in data:
        total = total * 31 + x
    return total


compare(iterate_bytes, b"", b"a", b"hello world", bytes(range(256)))
expect(iterate_bytes, b"ab", 97 * 31 + 98)


def equality(data: bytes) -> tuple[bool, bool]:
    return data == b"hello", data != b"hello"


compare(equality, b"hello", b"hellO", b"hell", b"hello!", b"")
expect(equality, b"hello", (True, False))


def equality_of_two(a: bytes, b: bytes) -> bool:
    return a == b


compare(equality_of_two, (b"", b""), (b"a", b""), (b"ab", b"ab"), (b"a\x00b", b"a\x00c"))


def slices(data: bytes, i: u64, j: u64) -> bool:
    return data[i:j] == b"ell"


compare(slices, (b"hello", 1, 4), (b"hello", 0, 3), (b"hello", 4, 1), (b"hello", 1, 6), (b"", 0, 0))
expect(slices, (b"hello", 1, 4), True)
expect(slices, (b"hello", 4, 1), traps=SLICE)


def starts_with(data: bytes) -> bool:
    return len(data) >= 3 and data[:3] == b"GET"


compare(starts_with, b"GET /", b"GE", b"PUT /")


def count_byte(data: bytes, wanted: u8) -> u64:
    n: u64 = 0
    for i, x in enumerate(data):
        if x == wanted and i >= 0:
            n += 1
    return n


compare(count_byte, (b"banana", 97), (b"", 97))


def array_passes_as_bytes() -> bool:
    a = Array[u8, 3](b"abc")
    return iterate_bytes(a) == iterate_bytes(b"abc")


expect(array_passes_as_bytes, (), True)


def span_passes_as_bytes(data: Span[u8]) -> bool:
    return equality_of_two(data[1:], b"bc")


compare(span_passes_as_bytes, b"abc", b"abd", b"")


def span_compared_with_bytes(data: Span[u8]) -> bool:
    return data == b"abc"


compare(span_compared_with_bytes, b"abc", b"abd", b"")


def parse_decimal(data: bytes) -> tuple[u32, bool]:
    value: u32 = 0
    for x in data:
        if x < 48 or x > 57:
            return value, False
        value = value * 10 + (x - 48)
    return value, len(data) > 0


compare(parse_decimal, b"0", b"12345", b"12a", b"", b"4294967296")
expect(parse_decimal, b"12345", (12345, True))


METHOD = b"POST"
NAME = "kernel"


def constant_bytes(data: bytes) -> bool:
    return data == METHOD and METHOD[0] == 80


compare(constant_bytes, b"POST", b"GET")


def choose_bytes(a: bool) -> u64:
    s = b"yes" if a else b"no"
    return len(s)


compare(choose_bytes, True, False)
expect(choose_bytes, True, 3)


def rebind_bytes(n: u64) -> u64:
    s = b"hello"
    s = s[n:]
    return len(s) + s[0]


compare(rebind_bytes, 0, 2, 5, 6)


def string_equality(a: bool) -> tuple[bool, bool]:
    s = "kernel" if a else "other"
    return s == NAME, s != "other"


compare(string_equality, True, False)
expect(string_equality, True, (True, True))


def encode_string() -> u64:
    s = "äö€"
    return len(s.encode())


expect(encode_string, (), 7)


def encode_constant(i: u64) -> u8:
    return NAME.encode()[i]


compare(encode_constant, 0, 5, 6)


def pass_string(s: str) -> u64:
    return len(s.encode())


def string_argument(a: bool) -> u64:
    return pass_string("four" if a else "sixsix")


compare(string_argument, True, False)


def print_string(a: bool) -> None:
    print("yes" if a else "no")


expect(print_string, True, prints="yes\n")
expect(print_string, False, prints="no\n")


def view_reads(data: Span[u8]) -> tuple[u8, u16, u32]:
    h = view(Header, data)
    return h.kind, h.length, h.address


compare(view_reads, b"\x01\x02\x03\x04\x05\x06\x07", b"1234567890", b"123456", b"")
expect(view_reads, b"\x01\x02\x03\x04\x05\x06\x07", (1, 0x203, 0x4050607))
expect(view_reads, b"123456", traps=VIEW)


def view_at_offset(data: Span[u8], offset: u64) -> u32:
    h = view(Header, data, offset)
    return h.address


compare(view_at_offset, (bytes(range(16)), 0), (bytes(range(16)), 9), (bytes(range(16)), 10), (b"", 0))
expect(view_at_offset, (bytes(range(16)), 9), 0x0C0D0E0F)
expect(view_at_offset, (bytes(range(16)), 10), traps=VIEW)
expect(view_at_offset, (bytes(range(16)), 0xFFFFFFFFFFFFFFFF), traps=VIEW)
expect(view_at_offset, (bytes(range(16)), 0xFFFFFFFFFFFFFFF9), traps=VIEW)


def view_writes() -> u32:
    a = Array[u8, 16]()
    h = view(Header, a, 4)
    h.kind = 1
    h.length = 0x0203
    h.address += 0x04050607
    return u32(a[4]) << 24 | u32(a[5]) << 16 | u32(a[6]) << 8 | a[10]


expect(view_writes, (), 0x01020307)


def view_constant_offset(data: Span[u8]) -> u16:
    return view(Header, data, 2).length


compare(view_constant_offset, bytes(range(9)), bytes(range(8)))


def view_of_slice(data: Span[u8], n: u64) -> u8:
    return view(Header, data[n:]).kind


compare(view_of_slice, (bytes(range(20)), 13), (bytes(range(20)), 14), (bytes(range(20)), 21))


def checksum_of(data: bytes) -> u16:
    total: u32 = 0
    i: u64 = 0
    while i + 1 < len(data):
        total += u32(data[i]) << 8 | data[i + 1]
        i += 2
    if i < len(data):
        total += u32(data[i]) << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~u16(total)


compare(checksum_of, b"", b"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", b"odd", bytes(range(256)))
expect(checksum_of, b"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 0x220D)


def last_byte(data: bytes) -> u8:
    return data[len(data) - 1]


compare(last_byte, b"abc", b"")


def negative_index_of_bytes(data: bytes) -> u8:
    return data[-1]


compare(negative_index_of_bytes, b"abc", b"a", b"")
expect(negative_index_of_bytes, b"abc", 99)
expect(negative_index_of_bytes, b"", traps=INDEX)


def nested_view(data: Span[u8]) -> u32:
    outer = view(Header, data)
    inner = view(Header, data, u64(outer.kind))
    inner.kind += 1
    return u32(outer.kind) * 1000 + inner.kind


compare(nested_view, b"\x00" * 7, b"\x07" + bytes(20), b"\x20" + bytes(20))


def bytes_in_a_tuple(data: bytes) -> u64:
    head, tail = split(data, 2)
    return len(head) * 100 + len(tail)


def split(data: bytes, at: u64) -> tuple[bytes, bytes]:
    return data[:at], data[at:]


compare(bytes_in_a_tuple, b"hello", b"ab", b"a")
expect(bytes_in_a_tuple, b"hello", 203)


def hexadecimal_digit(x: u8) -> u8:
    return b"0123456789abcdef"[x & 15]


compare_edges(hexadecimal_digit)
