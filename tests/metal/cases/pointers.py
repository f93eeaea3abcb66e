# SPDX-License-Identifier: MIT
"""Pointers: address arithmetic, reinterpretation, null, fields, elements, function references."""

from collections.abc import Callable
from typing import Final

from exokernel.metal import *
from casebook import compare, compare_edges, expect


@struct
class Item:
    a: u8
    b: u32
    c: u16be


@struct
class Operation:
    function: Callable[[u32, u32], u32]
    name: u8


def read_element(i: u64) -> u32:
    a = Array[u32, 4]([10, 20, 30, 40])
    p = addr(a[0])
    return p[i]


compare(read_element, 0, 3)
expect(read_element, 3, 40)


def write_element(i: u64, v: u32) -> u32:
    a = Array[u32, 4]()
    p = addr(a[0])
    p[i] = v
    p[i] += 1
    return a[i]


compare(write_element, (0, 5), (3, 0xFFFFFFFF))


def pointer_moves(n: u64) -> u32:
    a = Array[u32, 4]([10, 20, 30, 40])
    p = addr(a[0])
    p = p + n
    return p[0]


compare(pointer_moves, 0, 1, 3)
expect(pointer_moves, 2, 30)


def pointer_moves_back(n: u64) -> u32:
    a = Array[u32, 4]([10, 20, 30, 40])
    p = addr(a[3])
    q = p - n
    return q[0]


compare(pointer_moves_back, 0, 1, 3)


def pointer_difference(i: u64, j: u64) -> i64:
    a = Array[u32, 4]()
    return addr(a[i]) - addr(a[j])


compare(pointer_difference, (0, 3), (3, 0), (2, 2))
expect(pointer_difference, (0, 3), -3)


def pointer_comparison(i: u64, j: u64) -> tuple[bool, bool, bool, bool]:
    a = Array[u16, 4]()
    p = addr(a[i])
    q = addr(a[j])
    return p == q, p != q, p < q, p >= q


compare(pointer_comparison, (0, 3), (3, 0), (2, 2))


def null_is_false() -> tuple[bool, bool, bool]:
    a = Array[u16, 4]()
    null = Ptr[u16](0)
    p = addr(a[0])
    return bool(null), bool(p), null == Ptr[u16](0)


expect(null_is_false, (), (False, True, True))


def null_address() -> u64:
    return u64(Ptr[u8](0))


expect(null_address, (), 0)


def address_arithmetic(n: u64) -> u64:
    p = Ptr[u32](0x1000)
    return u64(p + n)


expect(address_arithmetic, 3, 0x100C)


def addresses_differ_by_size() -> u64:
    a = Array[Item, 3]()
    return u64(addr(a[2])) - u64(addr(a[0]))


expect(addresses_differ_by_size, (), 24)


def field_address(v: u32) -> u32:
    item = Item(b=1)
    p = addr(item.b)
    p[0] += v
    return item.b


compare_edges(field_address)


def big_endian_through_pointer(v: u16) -> tuple[u16, u16]:
    item = Item()
    p = addr(item.c)
    p[0] = v
    raw = Ptr[u16](p)
    return item.c, raw[0]


compare_edges(big_endian_through_pointer)
expect(big_endian_through_pointer, 0x1234, (0x1234, 0x3412))


def struct_behind_pointer(v: u32) -> u32:
    item = Item(a=2)
    p = addr(item)
    p[0].b = v
    reference = p[0]
    reference.a += 1
    return item.b + item.a


expect(struct_behind_pointer, 40, 43)


def pointer_to_array(i: u64) -> u32:
    a = Array[u32, 3]([7, 8, 9])
    p = addr(a)
    return p[0][i]


compare(pointer_to_array, 0, 2, 3)


def reinterpret(v: u32) -> u8:
    a = Array[u32, 1]([v])
    p = Ptr[u8](addr(a))
    return p[0] ^ p[3]


compare_edges(reinterpret)
expect(reinterpret, 0x12345678, 0x78 ^ 0x12)


def bytes_to_integer() -> u64:
    a = Array[u8, 8]([1, 2, 3, 4, 5, 6, 7, 8])
    p = Ptr[u64](addr(a[0]))
    return p[0]


expect(bytes_to_integer, (), 0x0807060504030201)


def through_an_address(v: u32) -> u32:
    item = Item(b=v)
    address = u64(addr(item))
    again = Ptr[Item](address)
    return again[0].b


compare_edges(through_an_address)


def swap_through(p: Ptr[u32], q: Ptr[u32]) -> None:
    p[0], q[0] = q[0], p[0]


def pointers_as_arguments() -> tuple[u32, u32]:
    a = Array[u32, 2]([1, 2])
    swap_through(addr(a[0]), addr(a[1]))
    return a[0], a[1]


expect(pointers_as_arguments, (), (2, 1))


def walk_to_null_byte() -> u64:
    a = Array[u8, 6](b"hello\x00")
    p = addr(a[0])
    n: u64 = 0
    while p[0]:
        p += 1
        n += 1
    return n


expect(walk_to_null_byte, (), 5)


def pointer_in_a_condition(flag: bool) -> u32:
    a = Array[u32, 1]([5])
    p = addr(a[0]) if flag else Ptr[u32](0)
    if p and p[0] == 5:
        return 1
    return 0 if not p else 2


compare(pointer_in_a_condition, True, False)


def pointer_array() -> u32:
    a = Array[u32, 3]([1, 2, 3])
    ps = Array[Ptr[u32], 2]()
    ps[0] = addr(a[2])
    total: u32 = 0
    for p in ps:
        if p:
            total += p[0]
    return total


expect(pointer_array, (), 3)


def add(a: u32, b: u32) -> u32:
    return a + b


def subtract(a: u32, b: u32) -> u32:
    return a - b


def apply(f: Callable[[u32, u32], u32], a: u32, b: u32) -> u32:
    return f(a, b)


def function_as_argument(which: bool) -> u32:
    return apply(add if which else subtract, 7, 5)


compare(function_as_argument, True, False)
expect(function_as_argument, True, 12)
expect(function_as_argument, False, 2)


def function_in_a_variable(n: u32) -> u32:
    f = add
    if n > 3:
        f = subtract
    return f(n, 1)


compare(function_in_a_variable, 0, 3, 4)


def function_table(i: u64, a: u32, b: u32) -> u32:
    table = Array[Callable[[u32, u32], u32], 2]([add, subtract])
    return table[i](a, b)


compare(function_table, (0, 5, 3), (1, 5, 3), (2, 5, 3))
expect(function_table, (1, 3, 5), 0xFFFFFFFE)


def function_in_a_struct(a: u32) -> u32:
    operation = Operation(function=subtract, name=65)
    first = operation.function(a, 1)
    operation.function = add
    return first * 1000 + operation.function(a, 1)


compare(function_in_a_struct, 1, 10)
expect(function_in_a_struct, 10, 9011)


OPERATIONS: Final[Array[Callable[[u32, u32], u32], 3]] = Array[Callable[[u32, u32], u32], 3]([add, subtract, add])


def constant_function_table(i: u64) -> u32:
    return OPERATIONS[i](20, 4)


compare(constant_function_table, 0, 1, 2, 3)
expect(constant_function_table, 1, 16)


def function_address_is_not_null() -> tuple[bool, bool]:
    return u64(add) != 0, u64(add) == u64(subtract)


expect(function_address_is_not_null, (), (True, False))


def argument_widens_through_reference(a: u8) -> u32:
    f = add
    return f(a, a)


compare_edges(argument_widens_through_reference)
expect(argument_widens_through_reference, 255, 510)


def compose(f: Callable[[u32, u32], u32], g: Callable[[u32, u32], u32], x: u32) -> u32:
    return f(g(x, 1), g(x, 2))


def composed(x: u32) -> u32:
    return compose(add, subtract, x) + compose(subtract, add, x)


compare_edges(composed)
