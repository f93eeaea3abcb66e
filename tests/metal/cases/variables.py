# SPDX-License-Identifier: MIT
"""Module variables, tables and constants computed by plain Python at build time, also across modules."""

import enum
import math
from typing import Final

from cases import counters
from cases.counters import SCALE, Total, table as their_table

from exokernel.metal import *
from casebook import INDEX, compare, compare_edges, expect

number: u32 = 5
small: u8 = 250
flag: bool = False
negative: i32 = -7


@struct
class Entry:
    key: u16
    value: u32
    bytes: Array[u8, 4]


@bits(u8)
class Mode:
    on: bool = field(0)
    level: u8 = field(4, 7)


class Register(enum.IntEnum):
    STATUS = 0x10
    DATA = 0x20


class Options(enum.IntFlag):
    A = 1
    B = 2
    C = 8


entries: Array[Entry, 4] = Array[Entry, 4]()
entry: Entry = Entry(key=3, value=9, bytes=Array[u8, 4](b"wxyz"))
mode: Mode = Mode(level=5)
buffer: Array[u8, 16] = Array[u8, 16]()
SQUARES: Final[Array[u32, 16]] = Array[u32, 16]([i * i for i in range(16)])
SINES: Final[Array[i16, 8]] = Array[i16, 8]([round(math.sin(i * math.pi / 4) * 1000) for i in range(8)])
page: Array[u8, 64] = aligned(4096, Array[u8, 64]())
pointer: Ptr[u32] = Ptr[u32](0)


def crc_table() -> list[int]:  # runs in CPython
    result = []
    for i in range(256):
        for _ in range(8):
            i = (i >> 1) ^ 0xEDB88320 if i & 1 else i >> 1
        result.append(i)
    return result


CRC: Final[Array[u32, 256]] = Array[u32, 256](crc_table())
MASKS = tuple(1 << i for i in range(8))
PAGE = 4096
PAGES = 3 * PAGE // 2
NAMES = ("zero", "one")
PI_SCALED = int(math.pi * 1000)


def read_scalar() -> tuple[u32, u8, bool, i32]:
    return number, small, flag, negative


expect(read_scalar, (), (5, 250, False, -7))


def assign_scalar(x: u32) -> u32:
    global number
    number = x
    number += 1
    return number


compare(assign_scalar, 1, 0xFFFFFFFF)


def state_stays() -> u32:
    global number
    number += 1
    return number


expect(assign_scalar, 10, 11)
expect(state_stays, (), 12)
expect(state_stays, (), 13)


def scalar_wraps(x: u8) -> u8:
    global small
    small = x
    small += 10
    return small


compare_edges(scalar_wraps)
expect(scalar_wraps, 250, 4)


def global_in_branch(x: bool) -> bool:
    global flag
    if x:
        flag = not flag
    return flag


compare(global_in_branch, True, True, False, True)


def struct_variable(x: u32) -> u32:
    entry.value += x
    alias = entry
    alias.key += 1
    return entry.value + entry.key + entry.bytes[3]


compare(struct_variable, 1, 2, 3)


def struct_array_variable(i: u64, v: u32) -> u32:
    entries[i].value = v
    entries[i].bytes[1] = u8(v)
    total: u32 = 0
    for e in entries:
        total += e.value + e.bytes[1]
    return total


compare(struct_array_variable, (0, 5), (3, 300), (4, 1), (0, 1))


def constant_table(i: u64) -> u32:
    return SQUARES[i]


compare(constant_table, 0, 15, 16)
expect(constant_table, 12, 144)
expect(constant_table, 16, traps=INDEX)


def signed_table(i: u64) -> i16:
    return SINES[i]


compare(signed_table, 0, 2, 6)
expect(signed_table, 6, -1000)


def crc32(data: bytes) -> u32:
    crc: u32 = 0xFFFFFFFF
    for byte in data:
        crc = CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return ~crc


compare(crc32, b"", b"a", b"hello world")
expect(crc32, b"123456789", 0xCBF43926)


def constants() -> tuple[u32, u32, u32]:
    return PAGE, PAGES, PI_SCALED


expect(constants, (), (4096, 6144, 3141))


def constant_tuple(x: u8) -> u8:
    return MASKS[3] | x


expect(constant_tuple, 1, 9)


def enum_constants(x: u32) -> u32:
    return x + Register.STATUS + Register.DATA.value


compare_edges(enum_constants)


def enum_flags(x: u8) -> u8:
    return x & (Options.A | Options.C)


compare_edges(enum_flags)


def bits_variable(level: u8) -> tuple[u8, u8]:
    global mode
    mode.level = level
    mode.on = not mode.on
    copy = mode
    copy.level = 0
    return mode.raw, copy.raw


compare(bits_variable, 3, 15, 16)


def across_modules() -> u64:
    counters.count = 7
    counters.count += 1
    return counters.increment() * 10 + counters.count


expect(across_modules, (), 99)


def signed_across_modules(x: i16) -> i16:
    old = counters.signed
    counters.signed = x
    return old * 2


expect(signed_across_modules, 9, -10)
expect(signed_across_modules, 0, 18)


def constant_across_modules(x: u32) -> u32:
    return x * counters.SCALE + SCALE


compare_edges(constant_across_modules)


def array_across_modules(i: u64) -> u32:
    their_table[i] += 10
    return counters.table[i]


compare(array_across_modules, 0, 0, 3, 4)


def struct_across_modules(x: u32) -> u32:
    counters.total.value += x
    local = Total(1)
    return counters.total.value + local.value


compare(struct_across_modules, 5, 6)


def buffer_variable(data: bytes) -> u64:
    n = min(len(data), len(buffer))
    buffer[:n].copy_from(data[:n])
    total: u64 = 0
    for x in buffer:
        total += x
    buffer.fill(0)
    return total


compare(buffer_variable, b"", b"hello", b"0123456789abcdefXYZ")


def aligned_variable() -> u64:
    return u64(addr(page)) % 4096


expect(aligned_variable, (), 0)


def pointer_variable(i: u64) -> u32:
    global pointer
    pointer = addr(their_table[0])
    pointer[i] = 77
    pointer += 1
    return pointer[0] + counters.table[i]


compare(pointer_variable, 0, 1)


def addr_of_scalar() -> i32:
    p = addr(negative)
    p[0] -= 1
    return negative


compare(addr_of_scalar, (), ())


def local_shadows_global(x: u32) -> u32:
    number = x
    return number + 1


compare_edges(local_shadows_global)


def module_function_uses_math_at_build_time(x: u32) -> u32:
    return x + len(MASKS) + len("four") + len(NAMES)


compare_edges(module_function_uses_math_at_build_time)


def reference_to_module_struct(i: u64) -> u32:
    e = entries[i]
    e.value = 1
    entry.copy_from(e)
    entry.value += 1
    return e.value + entry.value


compare(reference_to_module_struct, 0, 3)


def pick(first: bool) -> Entry:
    return entry if first else entries[2]


def returned_module_reference(first: bool) -> u32:
    pick(first).value = 1000
    return entry.value + entries[2].value


compare(returned_module_reference, False, True)


def iterate_final() -> u32:
    total: u32 = 0
    for i, s in enumerate(SQUARES):
        total += s * u32(i)
    return total


expect(iterate_final, (), sum(i**3 for i in range(16)))


def if_constant_chooses() -> u32:
    return 1 if PAGE == 4096 else 2


expect(if_constant_chooses, (), 1)
