# SPDX-License-Identifier: MIT
"""Shifts: by constants, by values, by the width and more, by negative amounts."""

from exokernel.metal import *
from casebook import NEGATIVE_SHIFT, compare, compare_edges, expect


def left_u8(a: u8, n: u8) -> u8:
    return a << n


compare_edges(left_u8)
compare(left_u8, *((255, n) for n in range(12)))
expect(left_u8, (255, 7), 128)
expect(left_u8, (255, 8), 0)
expect(left_u8, (1, 255), 0)


def left_u32(a: u32, n: u32) -> u32:
    return a << n


compare_edges(left_u32)
compare(left_u32, *((0xDEADBEEF, n) for n in range(40)))
expect(left_u32, (1, 32), 0)
expect(left_u32, (1, 33), 0)
expect(left_u32, (1, 0xFFFFFFFF), 0)


def left_u64(a: u64, n: u64) -> u64:
    return a << n


compare_edges(left_u64)
compare(left_u64, *((0xDEADBEEFCAFEF00D, n) for n in range(0, 70, 3)))
expect(left_u64, (1, 64), 0)
expect(left_u64, (1, 1 << 63), 0)


def left_i8(a: i8, n: i8) -> i8:
    return a << n


compare(left_i8, *((a, n) for a in (-128, -3, -1, 0, 1, 3, 127) for n in (0, 1, 6, 7, 8, 9, 127)))
expect(left_i8, (-1, 7), -128)
expect(left_i8, (-1, 8), 0)
expect(left_i8, (1, -1), traps=NEGATIVE_SHIFT)
expect(left_i8, (0, -128), traps=NEGATIVE_SHIFT)


def left_i64(a: i64, n: i64) -> i64:
    return a << n


compare(left_i64, *((a, n) for a in (-(1 << 63), -3, 0, 1, 99) for n in (0, 1, 62, 63, 64, 65, 1 << 40)))
expect(left_i64, (1, -5), traps=NEGATIVE_SHIFT)


def right_u8(a: u8, n: u8) -> u8:
    return a >> n


compare_edges(right_u8)
expect(right_u8, (255, 8), 0)
expect(right_u8, (255, 7), 1)


def right_u64(a: u64, n: u64) -> u64:
    return a >> n


compare_edges(right_u64)
compare(right_u64, *((0xDEADBEEFCAFEF00D, n) for n in range(0, 70, 3)))
expect(right_u64, (1 << 63, 64), 0)


def right_i8(a: i8, n: i8) -> i8:
    return a >> n


compare(right_i8, *((a, n) for a in (-128, -3, -1, 0, 1, 3, 127) for n in (0, 1, 6, 7, 8, 9, 127)))
expect(right_i8, (-1, 8), -1)
expect(right_i8, (-128, 100), -1)
expect(right_i8, (127, 100), 0)
expect(right_i8, (-8, 1), -4)
expect(right_i8, (1, -1), traps=NEGATIVE_SHIFT)


def right_i32(a: i32, n: i32) -> i32:
    return a >> n


compare(right_i32, *((a, n) for a in (-(1 << 31), -3, 0, 1, 99) for n in (0, 1, 30, 31, 32, 33, 1 << 30)))
expect(right_i32, (-5, 31), -1)
expect(right_i32, (5, -1), traps=NEGATIVE_SHIFT)


def right_i64(a: i64, n: i64) -> i64:
    return a >> n


compare(right_i64, *((a, n) for a in (-(1 << 63), -3, 0, 1, 99) for n in (0, 1, 62, 63, 64, 65, 1 << 40)))


def shift_by_constants(a: u32) -> tuple[u32, u32, u32, u32]:
    return a << 1, a << 31, a >> 1, a >> 31


compare_edges(shift_by_constants)


def shift_by_the_width(a: u32) -> tuple[u32, u32]:
    return a << 32, a >> 32


compare_edges(shift_by_the_width)
expect(shift_by_the_width, 0xFFFFFFFF, (0, 0))


def shift_far_by_constant(a: i8) -> tuple[i8, i8]:
    return a << 100, a >> 100


compare_edges(shift_far_by_constant)
expect(shift_far_by_constant, -3, (0, -1))


def shift_by_narrow(a: u64, n: u8) -> u64:
    return a << n


compare_edges(shift_by_narrow)
expect(shift_by_narrow, (1, 63), 1 << 63)
expect(shift_by_narrow, (1, 64), 0)


def shift_right_by_narrow(a: i64, n: u8) -> i64:
    return a >> n


compare_edges(shift_right_by_narrow)
expect(shift_right_by_narrow, (-1, 200), -1)


def one_bit(n: u64) -> u64:
    return u64(1) << n


compare_edges(one_bit)


def mask_of(n: u64) -> u64:
    return (u64(1) << n) - 1


compare_edges(mask_of)
expect(mask_of, 64, 0xFFFFFFFFFFFFFFFF)
expect(mask_of, 0, 0)


def shift_in_place(a: u16, n: u16) -> u16:
    a <<= n
    a >>= 1
    return a


compare_edges(shift_in_place)


def swap_halves(a: u32) -> u32:
    return a << 16 | a >> 16


compare_edges(swap_halves)
expect(swap_halves, 0x12345678, 0x56781234)


def top_bit(a: i16) -> i16:
    return a >> 15


compare_edges(top_bit)
expect(top_bit, -32768, -1)


def shifts_left_to_right(a: u32) -> u32:
    return a << 3 >> 1 << 2


compare_edges(shifts_left_to_right)


def shift_binds_looser_than_plus(a: u32) -> u32:
    return a << 1 + 2


compare_edges(shift_binds_looser_than_plus)
expect(shift_binds_looser_than_plus, 1, 8)
