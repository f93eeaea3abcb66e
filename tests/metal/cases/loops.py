# SPDX-License-Identifier: MIT
"""while, for, range in every shape, else, break, continue, nesting."""

from exokernel.metal import *
from casebook import compare, compare_edges, expect


def while_sum(n: u32) -> u32:
    total: u32 = 0
    while n > 0:
        total += n
        n -= 1
    return total


compare(while_sum, 0, 1, 10, 100)
expect(while_sum, 10, 55)


def while_else(n: u32, stop: u32) -> u32:
    i: u32 = 0
    while i < n:
        if i == stop:
            break
        i += 1
    else:
        return 1000 + i
    return i


compare(while_else, (5, 3), (5, 9), (0, 0))
expect(while_else, (5, 3), 3)
expect(while_else, (5, 9), 1005)


def while_true(n: u64) -> u64:
    steps: u64 = 0
    while True:
        if n == 1:
            return steps
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1


compare(while_true, 1, 2, 27, 97)
expect(while_true, 27, 111)


def while_continue(n: u32) -> u32:
    total: u32 = 0
    i: u32 = 0
    while i < n:
        i += 1
        if i % 3 == 0:
            continue
        total += i
    return total


compare(while_continue, 0, 3, 10)


def for_constant_range() -> u64:
    total: u64 = 0
    for i in range(10):
        total += i * i
    return total


expect(for_constant_range, (), 285)


def constant_range_is_u64() -> u64:
    last: u64 = 0
    for i in range(3):
        last = i - 3
    return last


expect(constant_range_is_u64, (), 0xFFFFFFFFFFFFFFFF)


def constant_range_with_negative_is_i64() -> i64:
    total: i64 = 0
    for i in range(-3, 3):
        total = total * 10 + i
    return total


compare(constant_range_with_negative_is_i64)


def range_type_follows_bound(n: u8) -> u8:
    last: u8 = 0
    for i in range(n):
        last = i + 250
    return last


compare(range_type_follows_bound, 0, 1, 5, 6, 7, 100, 255)
expect(range_type_follows_bound, 7, 0)


def range_to_the_top(n: u8) -> u32:
    count: u32 = 0
    for i in range(n, 255):
        count += 1
    return count


compare_edges(range_to_the_top)
expect(range_to_the_top, 0, 255)


def range_step_overflows(n: u8, step_end: u8) -> u32:
    total: u32 = 0
    for i in range(n, step_end, 100):
        total = total * 1000 + i
    return total


compare_edges(range_step_overflows)
expect(range_step_overflows, (0, 255), 100200)


def range_signed(a: i8, b: i8) -> i32:
    total: i32 = 0
    for i in range(a, b):
        total += i
    return total


compare_edges(range_signed)
expect(range_signed, (-3, 3), -3)


def range_signed_down(a: i8, b: i8) -> i32:
    total: i32 = 0
    for i in range(a, b, -50):
        total = total * 3 + i
    return total


compare_edges(range_signed_down)


def range_signed_to_the_edge(a: i8) -> i32:
    count: i32 = 0
    for i in range(a, -128, -1):
        count += 1
    return count


compare_edges(range_signed_to_the_edge)


def range_unsigned_down(n: u32) -> u32:
    total: u32 = 0
    for i in range(n, 0, -1):
        total = total * 10 + i
    return total


compare(range_unsigned_down, 0, 1, 5)
expect(range_unsigned_down, 5, 54321)


def range_unsigned_down_by_two(n: u8) -> u32:
    total: u32 = 0
    for i in range(n, 1, -2):
        total = total * 10 + i
    return total


compare(range_unsigned_down_by_two, 0, 1, 2, 8, 9)


def range_empty(a: u32, b: u32) -> u32:
    count: u32 = 0
    for i in range(a, b):
        count += 1
    return count


compare(range_empty, (5, 5), (6, 5), (0, 3), (0xFFFFFFFE, 0xFFFFFFFF))


def range_mixed_bounds(a: u8, b: u32) -> u32:
    last: u32 = 0
    for i in range(a, b):
        last = i * 100
    return last


compare(range_mixed_bounds, (0, 4), (250, 260), (255, 255))
expect(range_mixed_bounds, (250, 260), 25900)


def range_literal_and_value(n: u16) -> u16:
    last: u16 = 0
    for i in range(3, n):
        last = i
    return last


compare(range_literal_and_value, 0, 3, 4, 100)


def assigning_the_loop_variable(n: u32) -> u32:
    count: u32 = 0
    for i in range(n):
        i = i * 2
        count += i
    return count


compare(assigning_the_loop_variable, 0, 4)
expect(assigning_the_loop_variable, 4, 12)


def changing_the_bound(n: u32) -> u32:
    count: u32 = 0
    for i in range(n):
        n = 0
        count += i
    return count + n


compare(changing_the_bound, 0, 4)


def loop_variable_afterwards(n: u32) -> u32:
    i: u32 = 100
    for i in range(n):
        pass
    return i


compare(loop_variable_afterwards, 0, 1, 4)
expect(loop_variable_afterwards, 0, 100)
expect(loop_variable_afterwards, 4, 3)


def loop_variable_after_break(n: u32) -> u32:
    i: u32 = 100
    for i in range(n):
        if i == 2:
            break
    return i


compare(loop_variable_after_break, 0, 1, 9)


def for_else(n: u32, wanted: u32) -> u32:
    for i in range(n):
        if i == wanted:
            break
    else:
        return 1
    return 2


compare(for_else, (5, 3), (5, 5), (0, 0))


def for_continue(n: u32) -> u32:
    total: u32 = 0
    for i in range(n):
        if i & 1:
            continue
        total += i
    return total


compare(for_continue, 0, 1, 10)


def nested_break(n: u32) -> u32:
    total: u32 = 0
    for i in range(n):
        for j in range(n):
            if j > i:
                break
            total += 1
        else:
            total += 100
    return total


compare(nested_break, 0, 1, 3, 5)
expect(nested_break, 3, 106)


def nested_continue(n: u32) -> u32:
    total: u32 = 0
    for i in range(n):
        j: u32 = 0
        while j < n:
            j += 1
            if j == i:
                continue
            total += j
        total *= 3
    return total


compare(nested_continue, 0, 1, 4)


def return_from_nested(n: u32) -> u32:
    for i in range(n):
        for j in range(n):
            if i * j == 12:
                return i * 100 + j
    return 0


compare(return_from_nested, 0, 4, 5, 20)


def primes_below(n: u64) -> u64:
    sieve = Array[bool, 200]()
    count: u64 = 0
    for i in range(2, n):
        if not sieve[i]:
            count += 1
            for j in range(i * i, n, 1):
                if j % i == 0:
                    sieve[j] = True
    return count


compare(primes_below, 2, 3, 50, 100)
expect(primes_below, 100, 25)


def two_loops_one_name(n: u32) -> u32:
    total: u32 = 0
    for i in range(n):
        total += i
    for i in range(n, n + 3):
        total += i * 10
    return total


compare(two_loops_one_name, 0, 4)


def underscore(n: u8) -> u32:
    total: u32 = 1
    for _ in range(n):
        total *= 2
    return total


compare(underscore, 0, 3, 31)


def enumerate_array() -> u64:
    a = Array[u8, 4]([9, 8, 7, 6])
    total: u64 = 0
    for i, x in enumerate(a):
        total += i * x
    return total


expect(enumerate_array, (), 8 + 14 + 18)


def enumerate_index_wraps_as_u64() -> u64:
    last: u64 = 0
    for i, x in enumerate(b"ab"):
        last = i - x
    return last


compare(enumerate_index_wraps_as_u64)


def continue_in_for_over_bytes(data: bytes) -> u32:
    total: u32 = 0
    for x in data:
        if x == 32:
            continue
        if x == 0:
            break
        total += x
    else:
        total += 10000
    return total


compare(continue_in_for_over_bytes, b"a b", b"a\x00b", b"")


def greatest_common_divisor(a: u64, b: u64) -> u64:
    while b:
        a, b = b, a % b
    return a


compare_edges(greatest_common_divisor)
expect(greatest_common_divisor, (48, 18), 6)


def power(base: u64, exponent: u32) -> u64:
    result: u64 = 1
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result


compare(power, (2, 10), (3, 40), (3, 41), (7, 0), (0, 5))
expect(power, (3, 20), 3486784401)


def break_out_of_while_in_for(n: u32) -> u32:
    total: u32 = 0
    for i in range(n):
        j = i
        while True:
            total += j
            if j % 4 == 0:
                break
            j += 1
    return total


compare(break_out_of_while_in_for, 0, 1, 7)


def variable_declared_in_loop(n: u32) -> u32:
    total: u32 = 0
    for i in range(n):
        square: u32 = i * i
        total += square
    return total


compare(variable_declared_in_loop, 0, 5)


def wide_range(a: u64) -> u64:
    count: u64 = 0
    for i in range(a, 0xFFFFFFFFFFFFFFFF, 0x2000000000000000):
        count += 1
    return count


compare_edges(wide_range)


def negative_step_constants() -> i64:
    total: i64 = 0
    for i in range(10, -11, -5):
        total = total * 20 + i
    return total


compare(negative_step_constants)


def literal_range_with_step() -> u64:
    total: u64 = 0
    for i in range(0, 100, 7):
        total += i
    return total


expect(literal_range_with_step, (), sum(range(0, 100, 7)))


def range_of_length(data: bytes) -> u64:
    total: u64 = 0
    for i in range(len(data)):
        total += i * data[i]
    return total


compare(range_of_length, b"", b"hello")


LIMIT = 6
START = 2


def range_of_named_constants() -> u64:
    total: u64 = 0
    for i in range(START, LIMIT):
        total = total * 10 + i
    return total


expect(range_of_named_constants, (), 2345)


def while_with_chained_condition(n: u8) -> u8:
    while 10 < n <= 200:
        n -= 7
    return n


compare_edges(while_with_chained_condition)


def loop_carried_swap(n: u8) -> tuple[u8, u8]:
    a: u8 = 1
    b: u8 = 2
    for i in range(n):
        a, b = b + i, a
    return a, b


compare_edges(loop_carried_swap)
