# SPDX-License-Identifier: MIT
"""Mixed operands: the wider type wins when it holds the other, wherever two values meet."""

from exokernel.metal import *
from casebook import compare_edges, expect


def add_u8_u32(a: u8, b: u32) -> u32:
    return a + b


compare_edges(add_u8_u32)
expect(add_u8_u32, (255, 0xFFFFFFFF), 254)


def add_u16_i32(a: u16, b: i32) -> i32:
    return a + b


compare_edges(add_u16_i32)
expect(add_u16_i32, (65535, -1), 65534)


def multiply_i8_i64(a: i8, b: i64) -> i64:
    return a * b


compare_edges(multiply_i8_i64)
expect(multiply_i8_i64, (-1, 5), -5)


def divide_u32_i64(a: u32, b: i64) -> i64:
    return a // b


compare_edges(divide_u32_i64)
expect(divide_u32_i64, (0xFFFFFFFF, -2), -0x80000000)


def remainder_i8_i16(a: i8, b: i16) -> i16:
    return a % b


compare_edges(remainder_i8_i16)
expect(remainder_i8_i16, (-1, 1000), 999)


def subtract_u8_u64(a: u8, b: u64) -> u64:
    return a - b


compare_edges(subtract_u8_u64)


def bitwise_u8_i16(a: u8, b: i16) -> tuple[i16, i16, i16]:
    return a & b, a | b, a ^ b


compare_edges(bitwise_u8_i16)
expect(bitwise_u8_i16, (255, -1), (255, -1, -256))


def compare_u8_i16(a: u8, b: i16) -> tuple[bool, bool, bool, bool]:
    return a < b, a == b, a >= b, a != b


compare_edges(compare_u8_i16)
expect(compare_u8_i16, (200, -56), (False, False, True, True))


def compare_i8_i64(a: i8, b: i64) -> tuple[bool, bool, bool]:
    return a < b, a == b, a > b


compare_edges(compare_i8_i64)


def compare_u32_u64(a: u32, b: u64) -> tuple[bool, bool, bool]:
    return a < b, a == b, a > b


compare_edges(compare_u32_u64)


def widen_in_steps(a: u8, b: u16, c: u32, d: u64) -> u64:
    return a + b + c + d


compare_edges(widen_in_steps)
expect(widen_in_steps, (255, 65535, 0, 0), 254)


def narrow_part_wraps_first(a: u8, b: u8, c: u32) -> u32:
    return a * b + c


compare_edges(narrow_part_wraps_first)
expect(narrow_part_wraps_first, (16, 16, 1), 1)


def assign_widens(a: u8) -> u32:
    x: u32 = a
    return x * 1000


compare_edges(assign_widens)
expect(assign_widens, 255, 255000)


def reassign_keeps_the_wide_type(a: u8) -> u32:
    x = u32(1)
    x = a
    x = x + 255
    return x


compare_edges(reassign_keeps_the_wide_type)
expect(reassign_keeps_the_wide_type, 255, 510)


def reassign_in_branch(a: u8, b: bool) -> u32:
    x: u32 = 7
    if b:
        x = a
    return x + 255


compare_edges(reassign_in_branch)
expect(reassign_in_branch, (255, True), 510)


def augmented_widens_operand(a: u8, b: u32) -> u32:
    b += a
    b *= a
    return b


compare_edges(augmented_widens_operand)
expect(augmented_widens_operand, (255, 1), 65280)


def parameter_reassigned(a: i8, b: i32) -> i32:
    b = a
    return b * 1000


compare_edges(parameter_reassigned)
expect(parameter_reassigned, (-128, 5), -128000)


def return_widens(a: i8) -> i64:
    return a


compare_edges(return_widens)
expect(return_widens, -1, -1)


def takes_u32(x: u32) -> u32:
    return x * 0x01010101


def argument_widens(a: u8) -> u32:
    return takes_u32(a)


compare_edges(argument_widens)
expect(argument_widens, 2, 0x02020202)


def takes_i64(x: i64) -> i64:
    return x - 1


def argument_widens_sign(a: u32) -> i64:
    return takes_i64(a)


compare_edges(argument_widens_sign)
expect(argument_widens_sign, 0xFFFFFFFF, 0xFFFFFFFE)


def choice_has_the_common_type(a: u8, b: u32, c: bool) -> u32:
    return (a if c else b) + 255


compare_edges(choice_has_the_common_type)
expect(choice_has_the_common_type, (255, 0, True), 510)


def choice_with_a_literal(a: u8, c: bool) -> u8:
    return (a if c else 5) + 255


compare_edges(choice_with_a_literal)
expect(choice_with_a_literal, (1, False), 4)


def choice_held_in_a_variable(a: u8, b: i32, c: bool) -> i32:
    x = a if c else b
    return x * 3


compare_edges(choice_held_in_a_variable)
expect(choice_held_in_a_variable, (255, 0, True), 765)


def minimum_has_the_common_type(a: u8, b: u32) -> u32:
    return min(a, b) + 255


compare_edges(minimum_has_the_common_type)
expect(minimum_has_the_common_type, (255, 0xFFFFFFFF), 510)


def maximum_of_mixed(a: u8, b: i16, c: i64) -> i64:
    return max(a, b, c)


compare_edges(maximum_of_mixed)
expect(maximum_of_mixed, (255, -1, -2), 255)


def maximum_then_add(a: u8, b: i16) -> i16:
    return max(a, b) * 2


compare_edges(maximum_then_add)
expect(maximum_then_add, (255, -1), 510)


def element_widens(a: u8, b: u8) -> u32:
    pair = Array[u32, 2]()
    pair[0] = a
    pair[1] = b
    return pair[0] * pair[1]


compare_edges(element_widens)
expect(element_widens, (255, 255), 65025)


def tuple_elements_widen(a: u8) -> tuple[u32, i64]:
    return a, a


compare_edges(tuple_elements_widen)


def unpacking_into_wider(a: u8, b: u8) -> u32:
    x: u32 = 0
    y: u32 = 0
    x, y = a, b
    return x * y + 256


compare_edges(unpacking_into_wider)
expect(unpacking_into_wider, (255, 255), 65281)


def literal_takes_the_other_side(a: u8) -> u8:
    return 255 + a


compare_edges(literal_takes_the_other_side)
expect(literal_takes_the_other_side, 1, 0)


def two_literals_meet_first(a: u8) -> u8:
    return 300 - 200 + a


compare_edges(two_literals_meet_first)
expect(two_literals_meet_first, 200, 44)


def literal_left_of_minus(a: u16) -> u16:
    return 5 - a


compare_edges(literal_left_of_minus)
expect(literal_left_of_minus, 6, 65535)


def variable_from_narrow_expression(a: u8, b: u8) -> u32:
    x: u32 = a + b
    return x


compare_edges(variable_from_narrow_expression)
expect(variable_from_narrow_expression, (255, 1), 0)


def convert_before_adding(a: u8, b: u8) -> u32:
    return u32(a) + b


compare_edges(convert_before_adding)
expect(convert_before_adding, (255, 1), 256)
