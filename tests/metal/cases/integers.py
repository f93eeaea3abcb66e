# SPDX-License-Identifier: MIT
"""Integers of one type: wrapping, division and modulo, negation, bitwise operators, comparison, conversion."""

from exokernel.metal import *
from casebook import ZERO_DIVISOR, compare, compare_edges, expect


def add_u8(a: u8, b: u8) -> u8:
    return a + b


compare_edges(add_u8)
expect(add_u8, (200, 100), 44)


def add_u16(a: u16, b: u16) -> u16:
    return a + b


compare_edges(add_u16)
expect(add_u16, (65535, 2), 1)


def add_u32(a: u32, b: u32) -> u32:
    return a + b


compare_edges(add_u32)
expect(add_u32, (0xFFFFFFFF, 0xFFFFFFFF), 0xFFFFFFFE)


def add_u64(a: u64, b: u64) -> u64:
    return a + b


compare_edges(add_u64)
expect(add_u64, (0xFFFFFFFFFFFFFFFF, 2), 1)


def add_i8(a: i8, b: i8) -> i8:
    return a + b


compare_edges(add_i8)
expect(add_i8, (100, 100), -56)


def add_i16(a: i16, b: i16) -> i16:
    return a + b


compare_edges(add_i16)
expect(add_i16, (32767, 1), -32768)


def add_i32(a: i32, b: i32) -> i32:
    return a + b


compare_edges(add_i32)
expect(add_i32, (0x7FFFFFFF, 1), -0x80000000)


def add_i64(a: i64, b: i64) -> i64:
    return a + b


compare_edges(add_i64)
expect(add_i64, (0x7FFFFFFFFFFFFFFF, 1), -0x8000000000000000)


def subtract_u8(a: u8, b: u8) -> u8:
    return a - b


compare_edges(subtract_u8)
expect(subtract_u8, (0, 1), 255)


def subtract_u64(a: u64, b: u64) -> u64:
    return a - b


compare_edges(subtract_u64)
expect(subtract_u64, (0, 1), 0xFFFFFFFFFFFFFFFF)


def subtract_i16(a: i16, b: i16) -> i16:
    return a - b


compare_edges(subtract_i16)
expect(subtract_i16, (-32768, 1), 32767)


def subtract_i64(a: i64, b: i64) -> i64:
    return a - b


compare_edges(subtract_i64)


def multiply_u8(a: u8, b: u8) -> u8:
    return a * b


compare_edges(multiply_u8)
expect(multiply_u8, (16, 17), 16)


def multiply_i8(a: i8, b: i8) -> i8:
    return a * b


compare_edges(multiply_i8)
expect(multiply_i8, (-128, -1), -128)


def multiply_u32(a: u32, b: u32) -> u32:
    return a * b


compare_edges(multiply_u32)


def multiply_i64(a: i64, b: i64) -> i64:
    return a * b


compare_edges(multiply_i64)


def multiply_u64(a: u64, b: u64) -> u64:
    return a * b


compare_edges(multiply_u64)
expect(multiply_u64, (0x100000001, 0x100000001), 0x200000001)


def divide_u8(a: u8, b: u8) -> u8:
    return a // b


compare_edges(divide_u8)
expect(divide_u8, (255, 2), 127)
expect(divide_u8, (1, 0), traps=ZERO_DIVISOR)


def divide_u64(a: u64, b: u64) -> u64:
    return a // b


compare_edges(divide_u64)
expect(divide_u64, (0xFFFFFFFFFFFFFFFF, 2), 0x7FFFFFFFFFFFFFFF)


def divide_i8(a: i8, b: i8) -> i8:
    return a // b


compare_edges(divide_i8)
expect(divide_i8, (-7, 2), -4)
expect(divide_i8, (7, -2), -4)
expect(divide_i8, (-7, -2), 3)
expect(divide_i8, (-128, -1), -128)
expect(divide_i8, (5, 0), traps=ZERO_DIVISOR)


def divide_i32(a: i32, b: i32) -> i32:
    return a // b


compare_edges(divide_i32)
expect(divide_i32, (-0x80000000, -1), -0x80000000)
expect(divide_i32, (-1, 0x7FFFFFFF), -1)


def divide_i64(a: i64, b: i64) -> i64:
    return a // b


compare_edges(divide_i64)
expect(divide_i64, (-0x8000000000000000, -1), -0x8000000000000000)


def remainder_u16(a: u16, b: u16) -> u16:
    return a % b


compare_edges(remainder_u16)
expect(remainder_u16, (65535, 0), traps=ZERO_DIVISOR)


def remainder_u64(a: u64, b: u64) -> u64:
    return a % b


compare_edges(remainder_u64)


def remainder_i8(a: i8, b: i8) -> i8:
    return a % b


compare_edges(remainder_i8)
expect(remainder_i8, (-7, 3), 2)
expect(remainder_i8, (7, -3), -2)
expect(remainder_i8, (-6, 3), 0)
expect(remainder_i8, (-128, -1), 0)
expect(remainder_i8, (3, 0), traps=ZERO_DIVISOR)


def remainder_i32(a: i32, b: i32) -> i32:
    return a % b


compare_edges(remainder_i32)
expect(remainder_i32, (-0x80000000, -1), 0)


def remainder_i64(a: i64, b: i64) -> i64:
    return a % b


compare_edges(remainder_i64)
expect(remainder_i64, (-0x8000000000000000, -1), 0)
expect(remainder_i64, (-1, 0x7FFFFFFFFFFFFFFF), 0x7FFFFFFFFFFFFFFE)


def divide_by_constants(a: i32) -> tuple[i32, i32, i32, i32]:
    return a // 3, a // -3, a % 8, a % -8


compare_edges(divide_by_constants)
expect(divide_by_constants, -1, (-1, 0, 7, -1))


def divide_constant_by(a: i16) -> i16:
    return -1000 // a


compare_edges(divide_constant_by)
expect(divide_constant_by, 7, -143)


def division_law(a: i64, b: i64) -> bool:
    return a // b * b + a % b == a


compare_edges(division_law)
expect(division_law, (-0x8000000000000000, -1), True)


def negate_i8(a: i8) -> i8:
    return -a


compare_edges(negate_i8)
expect(negate_i8, -128, -128)


def negate_i64(a: i64) -> i64:
    return -a


compare_edges(negate_i64)


def zero_minus(a: u32) -> u32:
    return 0 - a


compare_edges(zero_minus)
expect(zero_minus, 1, 0xFFFFFFFF)


def unary_plus(a: i8) -> i8:
    return +a


compare_edges(unary_plus)


def invert_u8(a: u8) -> u8:
    return ~a


compare_edges(invert_u8)
expect(invert_u8, 0, 255)


def invert_i32(a: i32) -> i32:
    return ~a


compare_edges(invert_i32)
expect(invert_i32, 0, -1)


def invert_u64(a: u64) -> u64:
    return ~a


compare_edges(invert_u64)


def bitwise_u16(a: u16, b: u16) -> tuple[u16, u16, u16]:
    return a & b, a | b, a ^ b


compare_edges(bitwise_u16)


def bitwise_i8(a: i8, b: i8) -> tuple[i8, i8, i8]:
    return a & b, a | b, a ^ b


compare_edges(bitwise_i8)
expect(bitwise_i8, (-1, 0x0F), (15, -1, -16))


def mask_with_constants(a: u32) -> u32:
    return a & 0xFF00FF00 | 0x12 ^ 0x3


compare_edges(mask_with_constants)


def compare_u8(a: u8, b: u8) -> tuple[bool, bool, bool, bool, bool, bool]:
    return a < b, a <= b, a > b, a >= b, a == b, a != b


compare_edges(compare_u8)


def compare_i8(a: i8, b: i8) -> tuple[bool, bool, bool, bool, bool, bool]:
    return a < b, a <= b, a > b, a >= b, a == b, a != b


compare_edges(compare_i8)
expect(compare_i8, (-1, 1), (True, True, False, False, False, True))


def compare_u64(a: u64, b: u64) -> tuple[bool, bool, bool, bool, bool, bool]:
    return a < b, a <= b, a > b, a >= b, a == b, a != b


compare_edges(compare_u64)
expect(compare_u64, (0x8000000000000000, 1), (False, False, True, True, False, True))


def compare_i64(a: i64, b: i64) -> tuple[bool, bool, bool, bool, bool, bool]:
    return a < b, a <= b, a > b, a >= b, a == b, a != b


compare_edges(compare_i64)


def compare_with_constants(a: i8) -> tuple[bool, bool, bool, bool]:
    return a < -128, a <= 127, -1 < a, 0 == a


compare_edges(compare_with_constants)


def minimum_u8(a: u8, b: u8) -> u8:
    return min(a, b)


compare_edges(minimum_u8)


def minimum_of_three(a: i16, b: i16, c: i16) -> i16:
    return min(a, b, c)


compare_edges(minimum_of_three)


def maximum_i64(a: i64, b: i64) -> i64:
    return max(a, b)


compare_edges(maximum_i64)
expect(maximum_i64, (-1, 1), 1)


def maximum_with_constant(a: u32) -> u32:
    return max(a, 100)


compare_edges(maximum_with_constant)


def clamp(a: i32) -> i32:
    return min(max(a, -100), 100)


compare_edges(clamp)
expect(clamp, -0x80000000, -100)


def absolute_i8(a: i8) -> i8:
    return abs(a)


compare_edges(absolute_i8)
expect(absolute_i8, -128, -128)


def absolute_i64(a: i64) -> i64:
    return abs(a)


compare_edges(absolute_i64)


def narrow_to_every_type(a: u64) -> tuple[u8, u16, u32, i8, i16, i32, i64]:
    return u8(a), u16(a), u32(a), i8(a), i16(a), i32(a), i64(a)


compare_edges(narrow_to_every_type)
expect(
    narrow_to_every_type, 0xFEDCBA9876543280, (0x80, 0x3280, 0x76543280, -128, 0x3280, 0x76543280, -0x123456789ABCD80)
)


def reread_signed(a: i64) -> tuple[u8, u16, u32, u64, i8, i16, i32]:
    return u8(a), u16(a), u32(a), u64(a), i8(a), i16(a), i32(a)


compare_edges(reread_signed)
expect(reread_signed, -1, (0xFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF, -1, -1, -1))


def convert_twice(a: i32) -> u64:
    return u64(u8(a))


compare_edges(convert_twice)
expect(convert_twice, -1, 255)


def sign_extends(a: i8) -> u64:
    return u64(a)


compare_edges(sign_extends)
expect(sign_extends, -1, 0xFFFFFFFFFFFFFFFF)


def to_bool(a: i8) -> bool:
    return bool(a)


compare_edges(to_bool)
expect(to_bool, -128, True)


def from_bool(a: bool) -> tuple[u8, i64, u32]:
    return u8(a), i64(a), u32(a)


compare_edges(from_bool)
expect(from_bool, True, (1, 1, 1))


def augmented(a: u8, b: u8) -> u8:
    x: u8 = a
    x += b
    x *= 3
    x -= 7
    x ^= b
    x |= 1
    x &= 0x7F
    x <<= 1
    x >>= 2
    x //= 3
    x %= 10
    return x


compare_edges(augmented)


def augmented_signed(a: i8, b: i8) -> i8:
    x = a
    x -= b
    x //= 3
    x %= 7
    x <<= 3
    x >>= 1
    return x


compare_edges(augmented_signed)


def big_literals() -> tuple[u64, i64, i64]:
    return 18446744073709551615, -9223372036854775808, 0x7FFF_FFFF_FFFF_FFFF


expect(big_literals, (), (18446744073709551615, -9223372036854775808, 0x7FFFFFFFFFFFFFFF))


def constants_fold_exactly(a: u64) -> u64:
    return a + ((2**64 - 2**63) // 2 + -7 // 2 + 4)


compare_edges(constants_fold_exactly)
expect(constants_fold_exactly, 0, 1 << 62)


def wrap_then_divide(a: u8, b: u8) -> u8:
    return (a + b) // 2


compare_edges(wrap_then_divide)
expect(wrap_then_divide, (200, 100), 22)


def wrap_then_compare(a: u8) -> bool:
    return a + 1 > a


expect(wrap_then_compare, 255, False)
expect(wrap_then_compare, 254, True)


def signed_wrap_then_compare(a: i32) -> bool:
    return a + 1 > a


expect(signed_wrap_then_compare, 0x7FFFFFFF, False)
expect(signed_wrap_then_compare, 5, True)


def precedence(a: i32, b: i32, c: i32) -> i32:
    return a + b * c - (a - b) * c & 0xFF | a ^ b


compare(precedence, (1, 2, 3), (-5, 77, -3), (1000, -1000, 12345), (0, 0, 0))


def minus_twice(a: i16) -> i16:
    return --a


compare_edges(minus_twice)


def not_of_integer(a: i8) -> bool:
    return not a


compare_edges(not_of_integer)


def divide_everything(a: i8, b: u8) -> tuple[i16, i16]:
    return i16(a) // i16(b), i16(a) % i16(b)


compare_edges(divide_everything)
