# SPDX-License-Identifier: MIT
"""Calls: recursion, tuples, generics by TypeVar, decorators, many arguments, keywords."""

from typing import TypeVar

from exokernel.metal import *
from casebook import ASSERT, compare, compare_edges, expect

T = TypeVar("T")
K = TypeVar("K")


@struct
class Range:
    low: i32
    high: i32


def factorial(n: u64) -> u64:
    return 1 if n < 2 else n * factorial(n - 1)


compare(factorial, 0, 1, 5, 20, 25)
expect(factorial, 20, 2432902008176640000)


def fibonacci(n: u32) -> u32:
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)


compare(fibonacci, 0, 1, 12)
expect(fibonacci, 12, 144)


def is_even(n: u32) -> bool:
    if n == 0:
        return True
    return is_odd(n - 1)


def is_odd(n: u32) -> bool:
    if n == 0:
        return False
    return is_even(n - 1)


compare(is_even, 0, 1, 50, 51)


def ackermann(m: u32, n: u32) -> u32:
    if m == 0:
        return n + 1
    if n == 0:
        return ackermann(m - 1, 1)
    return ackermann(m - 1, ackermann(m, n - 1))


compare(ackermann, (0, 5), (1, 5), (2, 3))
expect(ackermann, (2, 3), 9)


def divide(a: u32, b: u32) -> tuple[u32, u32]:
    return a // b, a % b


def unpack(a: u32, b: u32) -> u32:
    q, r = divide(a, b)
    return q * 1000 + r


compare(unpack, (17, 5), (5, 17), (1, 0))
expect(unpack, (17, 5), 3002)


def tuple_of_mixed_types(a: i32) -> tuple[bool, i8, u64, i32]:
    return a > 0, i8(a), u64(a), a


compare_edges(tuple_of_mixed_types)


def tuple_passes_through(a: u32, b: u32) -> tuple[u32, u32]:
    return divide(b, a)


compare(tuple_passes_through, (5, 17), (0, 1))


def parse(x: u32) -> tuple[u32, bool]:
    if x > 100:
        return 0, False
    return x * 2, True


def tuple_with_flag(x: u32) -> u32:
    value, ok = parse(x)
    if not ok:
        return 999
    return value


compare(tuple_with_flag, 5, 100, 101)


def unpack_into_existing(a: u32) -> u32:
    q: u32 = 1
    r: u32 = 2
    q, r = divide(a, 7)
    q, r = divide(q + 100, r + 1)
    return q * 100 + r


compare(unpack_into_existing, 0, 50, 1000)


def unpack_into_fields(a: i32) -> i32:
    r = Range()
    r.low, r.high = order(a, 5)
    return r.high - r.low


def order(a: i32, b: i32) -> tuple[i32, i32]:
    return (a, b) if a <= b else (b, a)


compare(unpack_into_fields, 1, 5, 9, -7)
expect(unpack_into_fields, -7, 12)


def many_arguments(a: u8, b: u16, c: u32, d: u64, e: i8, f: i16, g: i32, h: i64, i: bool) -> i64:
    return i64(a) + b + c + i64(d) + e + f + g + h + i64(i)


compare(
    many_arguments,
    (1, 2, 3, 4, 5, 6, 7, 8, True),
    (255, 65535, 0xFFFFFFFF, 1, -128, -32768, -1, -1, False),
)
expect(many_arguments, (1, 2, 3, 4, -5, -6, -7, -8, True), -15)


def keywords(a: u32, b: u32) -> u32:
    return subtract(b=a, a=b)


def subtract(a: u32, b: u32) -> u32:
    return a - b


compare_edges(keywords)
expect(keywords, (1, 5), 4)


@inline
def inlined(a: u32) -> u32:
    if a > 10:
        return 10
    return a


@noinline
def not_inlined(a: u32) -> u32:
    if a > 20:
        return 20
    return a


def decorated(a: u32) -> u32:
    return inlined(a) * 100 + not_inlined(a)


compare(decorated, 5, 15, 25)


@export
@align(64)
def exported_function(a: u32) -> u32:
    return a * 3


def calls_exported(a: u32) -> u32:
    return exported_function(a)


compare_edges(calls_exported)


@noreturn
def stop(code: u32) -> None:
    assert code == 0xFFFF, "stopped"
    trap()


def calls_noreturn(a: u32) -> u32:
    if a > 3:
        stop(a)
    return a


compare(calls_noreturn, 3, 4)
expect(calls_noreturn, 4, traps=ASSERT)


def largest(a: T, b: T) -> T:
    return a if a > b else b


def generic_by_type(a: i8, b: i8, c: u64, d: u64) -> tuple[i8, u64]:
    return largest(a, b), largest(c, d)


compare(generic_by_type, (-1, 1, 0xFFFFFFFFFFFFFFFF, 1), (5, 3, 1, 2))
expect(generic_by_type, (-1, 1, 0xFFFFFFFFFFFFFFFF, 1), (1, 0xFFFFFFFFFFFFFFFF))


def total(items: Span[T], start: T) -> T:
    result = start
    for item in items:
        result += item
    return result


def generic_over_spans() -> tuple[u8, i32]:
    a = Array[u8, 3]([100, 100, 100])
    b = Array[i32, 3]([-1, -2, -3])
    return total(a[:], 0), total(b[:], 10)


expect(generic_over_spans, (), (44, 4))


def generic_span_from_array() -> u8:
    a = Array[u8, 3]([1, 2, 3])
    return total(a, 0)


expect(generic_span_from_array, (), 6)


def exchange(a: Ptr[T], b: Ptr[T]) -> None:
    a[0], b[0] = b[0], a[0]


def generic_over_pointers() -> tuple[u16, u16]:
    a = Array[u16, 2]([7, 9])
    exchange(addr(a[0]), addr(a[1]))
    return a[0], a[1]


expect(generic_over_pointers, (), (9, 7))


def find(items: Span[K], wanted: K, default: T) -> T:
    for item in items:
        if item == wanted:
            return default + 1
    return default


def two_type_variables(x: u8) -> i64:
    a = Array[u8, 3](b"abc")
    base: i64 = -5
    return find(a[:], x, base)


compare(two_type_variables, 97, 120)
expect(two_type_variables, 97, -4)


def smallest_field(a: T) -> T:
    return a


def generic_reference() -> i32:
    r = Range(1, 2)
    smallest_field(r).low = 50
    return r.low


expect(generic_reference, (), 50)


def generic_recursion(a: T, n: u32) -> T:
    if n == 0:
        return a
    return generic_recursion(a + a, n - 1)


def generic_recursive(a: u8, b: u32) -> tuple[u8, u32]:
    return generic_recursion(a, 3), generic_recursion(b, 3)


compare(generic_recursive, (40, 40))
expect(generic_recursive, (40, 40), (64, 320))


def parameter_as_variable(a: u32) -> u32:
    a = a * 2
    a += 1
    return a


compare_edges(parameter_as_variable)


def implicit_none(a: Span[u32]) -> None:
    if a[0] > 5:
        return
    a[0] = 5


def returns_nothing(x: u32) -> u32:
    a = Array[u32, 1]([x])
    implicit_none(a)
    return a[0]


compare(returns_nothing, 0, 5, 9)


def early_returns(x: i32) -> i32:
    if x < 0:
        return -1
    if x == 0:
        return 0
    if x < 10:
        if x % 2:
            return 1
        return 2
    return 3


compare(early_returns, -5, 0, 1, 2, 10)


def hanoi(n: u32, source: u8, target: u8, spare: u8, moves: Span[u32]) -> None:
    if n == 0:
        return
    hanoi(n - 1, source, spare, target, moves)
    moves[0] = moves[0] * 7 + source * 3 + target
    hanoi(n - 1, spare, target, source, moves)


def hanoi_digest(n: u32) -> u32:
    moves = Array[u32, 1]()
    hanoi(n, 1, 2, 3, moves)
    return moves[0]


compare(hanoi_digest, 0, 1, 3, 8)


def returns_span(data: Span[u8], n: u64) -> Span[u8]:
    return data[n:]


def span_returned(data: Span[u8], n: u64) -> u64:
    rest = returns_span(data, n)
    return len(rest)


compare(span_returned, (b"hello", 2), (b"hello", 5), (b"hello", 6))


def choose_reference(a: Range, b: Range, first: bool) -> Range:
    if first:
        return a
    return b


def reference_returned(first: bool) -> tuple[i32, i32]:
    a = Range(1, 1)
    b = Range(2, 2)
    chosen = choose_reference(a, b, first)
    chosen.low = 9
    return a.low, b.low


compare(reference_returned, True, False)


def tuple_of_references() -> tuple[i32, i32]:
    a = Range(1, 1)
    b = Range(2, 2)
    x, y = both(a, b)
    x.low = 8
    return b.low, y.low


def both(a: Range, b: Range) -> tuple[Range, Range]:
    return b, a


expect(tuple_of_references, (), (8, 1))


def defined_later(a: u32) -> u32:
    return later(a)


def later(a: u32) -> u32:
    return a + DEFINED_LATER


DEFINED_LATER = 5
compare_edges(defined_later)


def docstring_only(a: u32) -> u32:
    """A function may have a docstring."""
    return a


compare_edges(docstring_only)


def pass_and_ellipsis(a: u32) -> u32:
    if a:
        pass
    else:
        a = 7
    return a


compare_edges(pass_and_ellipsis)


def shadowed_builtin(a: u32) -> u32:
    max = a + 1
    len = max * 2
    return len


compare_edges(shadowed_builtin)


def string_annotations(a: "u8", b: "u8") -> "u16":
    x: "u16" = a
    return x + b


compare_edges(string_annotations)
