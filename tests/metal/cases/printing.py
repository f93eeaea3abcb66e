# SPDX-License-Identifier: MIT
"""print and format_into: every format, separators, values of every type."""

import enum

from exokernel.metal import *
from casebook import FORMAT, compare, compare_edges, expect


class Kind(enum.IntEnum):
    ARP = 0x0806


def plain(a: u32, b: i32) -> None:
    print("a", a, "b", b)


compare_edges(plain)
expect(plain, (7, -7), prints="a 7 b -7\n")


def every_width(a: i64) -> None:
    print(u8(a), u16(a), u32(a), u64(a), i8(a), i16(a), i32(a), a)


compare_edges(every_width)
expect(every_width, -1, prints="255 65535 4294967295 18446744073709551615 -1 -1 -1 -1\n")


def booleans(a: bool) -> None:
    print(a, not a, f"{a}")


compare(booleans, True, False)
expect(booleans, True, prints="True False True\n")


def nothing() -> None:
    print()


expect(nothing, (), prints="\n")


def end_and_separator(a: u8) -> None:
    print(a, a, sep=", ", end="")
    print("x", "y", sep="")
    print(1, 2, end=";\n")


expect(end_and_separator, 5, prints="5, 5xy\n1 2;\n")


def f_string(a: u32, b: u32) -> None:
    print(f"{a}+{b}={a + b}")


compare_edges(f_string)
expect(f_string, (1, 2), prints="1+2=3\n")


def hexadecimal(a: u64) -> None:
    print(f"{a:x} {a:X} {a:08x} {a:#x} {a:#010x} {a:016X}")


compare_edges(hexadecimal)
expect(hexadecimal, 0xBEEF, prints="beef BEEF 0000beef 0xbeef 0x0000beef 000000000000BEEF\n")


def binary_and_octal(a: u8) -> None:
    print(f"{a:b} {a:08b} {a:#b} {a:o} {a:#o} {a:04o}")


compare_edges(binary_and_octal)
expect(binary_and_octal, 10, prints="1010 00001010 0b1010 12 0o12 0012\n")


def signed_bases(a: i16) -> None:
    print(f"{a:x} {a:#x} {a:b} {a:06x} {a:#08X} {a:o}")


compare_edges(signed_bases)
expect(signed_bases, -255, prints="-ff -0xff -11111111 -000ff -0X000FF -377\n")


def widths(a: i32) -> None:
    print(f"[{a:5}][{a:<5}][{a:>5}][{a:^6}][{a:05}][{a:5d}][{a:1}]")


compare_edges(widths)
expect(widths, -42, prints="[  -42][-42  ][  -42][ -42  ][-0042][  -42][-42]\n")


def fills(a: u16) -> None:
    print(f"[{a:*<8}][{a:->8}][{a:.^9}][{a:_>3}][{a:x<6x}][{a: >4}]")


compare_edges(fills)
expect(fills, 77, prints="[77******][------77][...77....][_77][4dxxxx][  77]\n")


def aligned_with_zero(a: i32) -> None:
    print(f"[{a:<06}][{a:>06}][{a:^06}][{a:0<6}]")


compare_edges(aligned_with_zero)


def prefix_with_alignment(a: u32) -> None:
    print(f"[{a:#>12x}][{a:<#12x}][{a:>#12b}][{a:^#12X}]")


compare_edges(prefix_with_alignment)


def characters(a: u8) -> None:
    print(f"{a:c}{a + 1:c}")


expect(characters, 65, prints="AB\n")


def bytes_as_they_are(data: bytes) -> None:
    print(data)
    print("<", data, ">", sep="")
    print(f"[{data}]")


expect(bytes_as_they_are, b"hello", prints="hello\n<hello>\n[hello]\n")
expect(bytes_as_they_are, b"", prints="\n<>\n[]\n")


def strings(a: bool) -> None:
    s = "left" if a else "right"
    print(s, f"{s}!", "it's", 'a "quote"', "tab\t", "100%", "{}", f"{{{s}}}")


compare(strings, True, False)
expect(strings, True, prints='left left! it\'s a "quote" tab\t 100% {} {left}\n')


def padded_strings(a: bool) -> None:
    s = "ab" if a else "abcdef"
    print(f"[{s:5}][{s:<5}][{s:>5}][{s:^5}][{s:*^6}]")


compare(padded_strings, True, False)


def constants(a: u8) -> None:
    print(5, -5, True, "text", f"{5:03}", f"{255:#x}", 2**40, a)


expect(constants, 1, prints="5 -5 True text 005 0xff 1099511627776 1\n")


def enum_members(a: u16) -> None:
    print(f"{Kind.ARP:#06x}", Kind.ARP.value, a == Kind.ARP)


expect(enum_members, 0x806, prints="0x0806 2054 True\n")


def unicode_text() -> None:
    print("äöü €", f"{5:.>3}")


expect(unicode_text, (), prints="äöü € ..5\n")


def in_a_loop(n: u32) -> None:
    for i in range(n):
        print(i, end=" ")
    print()


expect(in_a_loop, 4, prints="0 1 2 3 \n")


def fields_and_elements() -> None:
    a = Array[i8, 3]([-1, 0, 127])
    print(a[0], f"{a[2]:#x}", len(a))
    for i, x in enumerate(a):
        print(f"{i}:{x}", end=",")
    print()


expect(fields_and_elements, (), prints="-1 0x7f 3\n0:-1,1:0,2:127,\n")


def smallest_numbers() -> None:
    a: i64 = -9223372036854775808
    b: i8 = -128
    print(a, b, f"{a:x}", f"{b:08b}", f"{a:#b}")


expect(
    smallest_numbers,
    (),
    prints="-9223372036854775808 -128 -8000000000000000 -10000000 -0b1" + "0" * 63 + "\n",
)


def into_buffer(a: u32, b: i32) -> u64:
    buffer = Array[u8, 32]()
    n = format_into(buffer, f"{a}/{b:x}")
    print(buffer[:n], n)
    return n


compare_edges(into_buffer)
expect(into_buffer, (12, -255), 6, prints="12/-ff 6\n")


def into_small_buffer(a: u32) -> u64:
    buffer = Array[u8, 4]()
    return format_into(buffer, f"<{a}>")


compare(into_small_buffer, 1, 12, 123, 4000000000)
expect(into_small_buffer, 12, 4)
expect(into_small_buffer, 123, traps=FORMAT)


def into_slice(a: u8) -> u8:
    buffer = Array[u8, 8](b"........")
    n = format_into(buffer[2:], f"{a:>4}")
    return buffer[1] + buffer[2] + buffer[5] + buffer[6] + u8(n)


compare_edges(into_slice)


def into_empty_buffer() -> u64:
    buffer = Array[u8, 4]()
    return format_into(buffer[:0], "") + format_into(buffer[4:], f"{b''}")


expect(into_empty_buffer, (), 0)


def into_buffer_plain_text() -> u64:
    buffer = Array[u8, 8]()
    return format_into(buffer, "hello")


expect(into_buffer_plain_text, (), 5)


def before_a_trap(a: u32) -> u32:
    print("start", end="")
    print(10 // a)
    return a


compare(before_a_trap, 0, 3)


def nested_calls(a: u32) -> None:
    print(f"{twice(a)} {twice(twice(a)):>5}", twice(1))


def twice(a: u32) -> u32:
    print("t", end="")
    return a * 2


expect(nested_calls, 3, prints="tttt6    12 2\n")


def wide_field(a: u8) -> None:
    print(f"[{a:40}][{a:<40}][{a:040b}]")


compare_edges(wide_field)
