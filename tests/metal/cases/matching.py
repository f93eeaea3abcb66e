# SPDX-License-Identifier: MIT
"""match: constants, dotted names, alternatives, captures, guards."""

import enum

from exokernel.metal import *
from casebook import compare, compare_edges, expect


class Kind(enum.IntEnum):
    ARP = 0x0806
    IPV4 = 0x0800
    IPV6 = 0x86DD


class Color(enum.Enum):
    RED = 1
    GREEN = 2


def constants(x: u32) -> u32:
    match x:
        case 0:
            return 10
        case 1:
            return 11
        case 4294967295:
            return 12
        case _:
            return 13


compare_edges(constants)
expect(constants, 0xFFFFFFFF, 12)


def dotted(x: u16) -> u32:
    match x:
        case Kind.ARP:
            return 1
        case Kind.IPV4 | Kind.IPV6:
            return 2
    return 3


compare(dotted, 0x806, 0x800, 0x86DD, 5)
expect(dotted, 0x86DD, 2)


def alternatives(x: u8) -> u8:
    match x:
        case 1 | 2 | 3:
            r: u8 = 1
        case 4 | 5:
            r = 2
        case _:
            r = 3
    return r


compare_edges(alternatives)
compare(alternatives, 4, 5, 6)


def capture(x: u32) -> u32:
    match x:
        case 0:
            return 1
        case other:
            return other * 2


compare_edges(capture)


def guards(x: i32, limit: i32) -> i32:
    match x:
        case 0 if limit > 5:
            return 1
        case 0:
            return 2
        case n if n < 0:
            return -n
        case n if n > limit:
            return limit
        case _:
            return 7


compare_edges(guards)
expect(guards, (0, 6), 1)
expect(guards, (0, 5), 2)
expect(guards, (-8, 5), 8)


def negative_constants(x: i8) -> i8:
    match x:
        case -1:
            return 1
        case -128 | 127:
            return 2
        case _:
            return 3


compare_edges(negative_constants)


def no_case_fits(x: u32) -> u32:
    r: u32 = 5
    match x:
        case 1:
            r = 6
        case 2:
            r = 7
    return r


compare(no_case_fits, 0, 1, 2)


def bools(flag: bool) -> u32:
    match flag:
        case True:
            return 1
        case False:
            pass
    return 2


compare(bools, True, False)


def inside_loop(n: u32) -> u32:
    total: u32 = 0
    for i in range(n):
        match i & 3:
            case 0:
                continue
            case 1:
                total += 1
            case 2:
                total += 10
            case _:
                if total > 40:
                    break
                total += 100
    return total


compare(inside_loop, 0, 1, 2, 3, 4, 8)


def expression_subject(a: u8, b: u8) -> u8:
    match a + b:
        case 0:
            return 1
        case 255:
            return 2
        case x:
            return x


compare_edges(expression_subject)
expect(expression_subject, (255, 1), 1)


def capture_is_a_copy(x: u32) -> u32:
    match x:
        case y:
            y += 1
    return x * 10 + y


compare(capture_is_a_copy, 1, 5)


def nested(a: u8, b: u8) -> u32:
    match a:
        case 1:
            match b:
                case 1:
                    return 11
                case _:
                    return 10
        case 2 if b == 2:
            return 22
        case _:
            pass
    return 0


compare(nested, (1, 1), (1, 2), (2, 2), (2, 3), (3, 3))


def guard_with_effect(x: u32) -> u32:
    tries = Array[u32, 1]()
    match x:
        case 5 if attempt(tries):
            return 100
        case 5 | 6 if attempt(tries):
            return 200 + tries[0]
    return tries[0]


def attempt(tries: Span[u32]) -> bool:
    tries[0] += 1
    return tries[0] > 1


compare(guard_with_effect, 4, 5, 6)
expect(guard_with_effect, 5, 202)


def match_field(x: u64) -> u64:
    a = Array[u64, 2]([x, 1])
    match a[0]:
        case 1:
            return 5
        case v:
            return v - a[1]


compare(match_field, 0, 1, 2)


LOW = 3


class Limits:
    HIGH = 9


def class_constant(x: u32) -> bool:
    match x:
        case Limits.HIGH:
            return True
        case _:
            return False


compare(class_constant, 9, 3)


def enum_comparison(x: u16) -> bool:
    return x == Kind.ARP


compare(enum_comparison, 0x806, 1)


def many(x: u8) -> u32:
    match x:
        case 0:
            return 3
        case 1:
            return 1
        case 2:
            return 4
        case 3:
            return 1
        case 4:
            return 5
        case 5:
            return 9
        case 6:
            return 2
        case 7:
            return 6
        case _:
            return 0


compare(many, *range(10))


def all_paths_return(x: u32) -> u32:
    match x & 1:
        case 0:
            return 1
        case _:
            return 2


compare(all_paths_return, 0, 1)


def match_on_signed_wide(x: i64) -> i64:
    match x:
        case -9223372036854775808:
            return 1
        case 9223372036854775807:
            return 2
        case _:
            return x // 2


compare_edges(match_on_signed_wide)
