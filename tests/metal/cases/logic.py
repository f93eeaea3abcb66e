# SPDX-License-Identifier: MIT
"""Truth: and, or, not, conditions, chained comparison, conditional expressions, short circuits."""

from exokernel.metal import *
from casebook import INDEX, compare, compare_edges, expect


def and_gives_bool(a: u32, b: u32) -> bool:
    return a and b


compare_edges(and_gives_bool)
expect(and_gives_bool, (2, 4), True)


def or_gives_bool(a: i8, b: i8) -> bool:
    return a or b


compare_edges(or_gives_bool)
expect(or_gives_bool, (0, -1), True)


def and_held_in_a_variable(a: u32, b: u32) -> u32:
    both = a and b
    return u32(both) + 1


compare_edges(and_held_in_a_variable)
expect(and_held_in_a_variable, (5, 7), 2)


def or_used_as_integer(a: u32, b: u32) -> u32:
    return u32(a or b)


compare_edges(or_used_as_integer)
expect(or_used_as_integer, (5, 7), 1)


def and_compared(a: u8, b: u8) -> bool:
    return (a and b) == True  # noqa: E712


compare_edges(and_compared)
expect(and_compared, (2, 3), True)


def not_in_arithmetic(a: u32) -> u32:
    return u32(not a) + u32(not not a) * 2


compare_edges(not_in_arithmetic)
expect(not_in_arithmetic, 9, 2)


def mixed_operands(a: bool, b: u64, c: i8) -> bool:
    return a and b or c


compare_edges(mixed_operands)


def three_way(a: bool, b: bool, c: bool) -> tuple[bool, bool, bool]:
    return a and b and c, a or b or c, not (a or b) and c


compare_edges(three_way)


def bool_bitwise(a: bool, b: bool) -> tuple[bool, bool, bool]:
    return a & b, a | b, a ^ b


compare_edges(bool_bitwise)


def bool_equality(a: bool, b: bool) -> tuple[bool, bool]:
    return a == b, a != b


compare_edges(bool_equality)


def chained(a: i32, b: i32, c: i32) -> bool:
    return a < b <= c


compare_edges(chained)
expect(chained, (1, 2, 2), True)
expect(chained, (1, 1, 2), False)


def chained_four(a: u8, b: u8, c: u8) -> bool:
    return 0 < a < b != c > 3


compare_edges(chained_four)


def chained_with_literals(a: i8) -> bool:
    return -5 <= a < 7


compare_edges(chained_with_literals)
expect(chained_with_literals, 7, False)
expect(chained_with_literals, -5, True)


def chained_equality(a: u8, b: u8, c: u8) -> bool:
    return a == b == c


compare(chained_equality, (1, 1, 1), (1, 1, 0), (0, 1, 1), (1, 0, 0))


def chained_of_mixed_types(a: u8, b: u16, c: u64) -> bool:
    return a < b < c


compare_edges(chained_of_mixed_types)


def conditions_of_integers(a: u64) -> u32:
    if a:
        return 1
    return 2


compare_edges(conditions_of_integers)


def high_bits_count_too(a: u64) -> bool:
    return not a


expect(high_bits_count_too, 1 << 32, False)
expect(high_bits_count_too, 0, True)


def conditional(a: i32) -> i32:
    return a if a > 0 else -a


compare_edges(conditional)


def nested_conditional(a: i32) -> i32:
    return -1 if a < 0 else 0 if a == 0 else 1


compare_edges(nested_conditional)
expect(nested_conditional, -7, -1)


def conditional_on_integer(a: u8, b: u8) -> u8:
    return a if b else 255 - a


compare_edges(conditional_on_integer)


def only_one_side_is_evaluated(a: u32, b: u32) -> u32:
    return a // b if b else 0


compare_edges(only_one_side_is_evaluated)
expect(only_one_side_is_evaluated, (5, 0), 0)


def short_circuit_guards_index(i: u64) -> bool:
    a = Array[u8, 4](b"abcd")
    return i < len(a) and a[i] == 99


compare(short_circuit_guards_index, 0, 2, 3, 4, 1 << 40)
expect(short_circuit_guards_index, 2, True)
expect(short_circuit_guards_index, 4, False)


def no_short_circuit_for_bitwise(i: u64) -> bool:
    a = Array[u8, 4](b"abcd")
    return (i < len(a)) & (a[i] == 99)


expect(no_short_circuit_for_bitwise, 4, traps=INDEX)


def or_stops_early(b: u32) -> bool:
    return b == 0 or 100 // b > 10


compare(or_stops_early, 0, 1, 9, 10, 100)


def if_elif_else(a: u32) -> u32:
    if a == 0:
        r: u32 = 10
    elif a < 10:
        r = 20
    elif a < 100:
        r = 30
    else:
        r = 40
    return r


compare(if_elif_else, 0, 5, 50, 500)
expect(if_elif_else, 50, 30)


def condition_from_comparison_variable(a: u32, b: u32) -> u32:
    less = a < b
    equal: bool = a == b
    if less and not equal:
        return 1
    elif equal:
        return 2
    return 3


compare_edges(condition_from_comparison_variable)


def bool_parameter_flip(flag: bool) -> bool:
    flag = not flag
    return flag


compare_edges(bool_parameter_flip)


def count_true(a: bool, b: bool, c: bool) -> u8:
    return u8(a) + u8(b) + u8(c)


compare_edges(count_true)


def majority(a: u8, b: u8, c: u8) -> bool:
    return (a > 5) and (b > 5) or (c > 5) and ((a > 5) or (b > 5))


compare_edges(majority)


def not_binds_looser_than_comparison(a: u8, b: u8) -> bool:
    return not a == b


compare_edges(not_binds_looser_than_comparison)


def bool_from_chain_in_if(a: i16, b: i16) -> i16:
    return 1 if -10 <= a <= b <= 10 else 0


compare_edges(bool_from_chain_in_if)


def constant_condition(a: u32) -> u32:
    if True:
        a += 1
    if False:
        a += 100
    return a


expect(constant_condition, 1, 2)


DEBUG = False


def constant_folded_away(a: u32) -> u32:
    if DEBUG and a // 0:
        return 0
    return a


expect(constant_folded_away, 9, 9)
