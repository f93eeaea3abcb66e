# SPDX-License-Identifier: MIT
"""Atomics, volatile access, bit intrinsics, and every reason for a trap."""

from exokernel.metal import *
from casebook import ASSERT, EXPLICIT, INDEX, LENGTHS, SLICE, ZERO_DIVISOR, compare, compare_edges, expect

shared: u32 = 0
wide: u64 = 0


@struct
class Lock:
    owner: u32
    waiters: u16


def atomic_addition(a: u32, b: u32) -> tuple[u32, u32]:
    cell = Array[u32, 1]([a])
    old = atomic_add(addr(cell[0]), b)
    return old, cell[0]


compare_edges(atomic_addition)
expect(atomic_addition, (0xFFFFFFFF, 2), (0xFFFFFFFF, 1))


def atomic_subtraction(a: u8, b: u8) -> tuple[u8, u8]:
    cell = Array[u8, 1]([a])
    old = atomic_sub(addr(cell[0]), b)
    return old, cell[0]


compare_edges(atomic_subtraction)


def atomic_logic(a: u16, b: u16) -> tuple[u16, u16, u16, u16]:
    cell = Array[u16, 1]([a])
    first = atomic_and(addr(cell[0]), b)
    second = atomic_or(addr(cell[0]), 0x0F0F)
    third = atomic_xor(addr(cell[0]), a)
    return first, second, third, cell[0]


compare_edges(atomic_logic)


def atomic_swap(a: i64, b: i64) -> tuple[i64, i64]:
    cell = Array[i64, 1]([a])
    old = atomic_exchange(addr(cell[0]), b)
    return old, atomic_load(addr(cell[0]))


compare_edges(atomic_swap)


def compare_and_exchange(a: u32, old: u32, new: u32) -> tuple[bool, u32]:
    cell = Array[u32, 1]([a])
    done = atomic_compare_exchange(addr(cell[0]), old, new)
    return done, cell[0]


compare(compare_and_exchange, (1, 1, 5), (1, 2, 5))
expect(compare_and_exchange, (1, 1, 5), (True, 5))
expect(compare_and_exchange, (1, 2, 5), (False, 1))


def atomic_fields() -> tuple[u32, u16]:
    lock = Lock()
    atomic_store(addr(lock.owner), 9)
    atomic_add(addr(lock.waiters), 3)
    fence()
    compiler_barrier()
    return atomic_load(addr(lock.owner)), lock.waiters


expect(atomic_fields, (), (9, 3))


def atomic_module_variable(n: u32) -> u32:
    atomic_store(addr(shared), n)
    atomic_add(addr(shared), 1)
    return shared


compare_edges(atomic_module_variable)


def spin(n: u32) -> u32:
    lock = Lock()
    for _ in range(n):
        while not atomic_compare_exchange(addr(lock.owner), 0, 1):
            pass
        lock.waiters += 1
        atomic_store(addr(lock.owner), 0)
    return lock.waiters


compare(spin, 0, 5)


def volatile_access(a: u64) -> u64:
    cell = Array[u64, 1]()
    volatile_store(addr(cell[0]), a)
    return volatile_load(addr(cell[0])) + 1


compare_edges(volatile_access)


def swap_bytes(a: u64) -> tuple[u16, u32, u64]:
    return byte_swap(u16(a)), byte_swap(u32(a)), byte_swap(a)


compare_edges(swap_bytes)
expect(swap_bytes, 0x0102030405060708, (0x0807, 0x08070605, 0x0807060504030201))


def leading_zeros(a: u64) -> tuple[u8, u16, u32, u64]:
    return (
        count_leading_zeros(u8(a)),
        count_leading_zeros(u16(a)),
        count_leading_zeros(u32(a)),
        count_leading_zeros(a),
    )


compare_edges(leading_zeros)
expect(leading_zeros, 0, (8, 16, 32, 64))
expect(leading_zeros, 1, (7, 15, 31, 63))


def trailing_zeros(a: u64) -> tuple[u8, u16, u32, u64]:
    return (
        count_trailing_zeros(u8(a)),
        count_trailing_zeros(u16(a)),
        count_trailing_zeros(u32(a)),
        count_trailing_zeros(a),
    )


compare_edges(trailing_zeros)
expect(trailing_zeros, 0, (8, 16, 32, 64))
expect(trailing_zeros, 0x8000000000000000, (8, 16, 32, 63))


def ones(a: u64, b: u8) -> tuple[u64, u8]:
    return count_ones(a), count_ones(b)


compare_edges(ones)
expect(ones, (0xFFFFFFFFFFFFFFFF, 0x11), (64, 2))


def rotate(a: u32, n: u32) -> u32:
    return rotate_left(a, n)


compare_edges(rotate)
compare(rotate, *((0x80000001, n) for n in range(0, 70, 5)))
expect(rotate, (0x80000001, 1), 3)
expect(rotate, (0x80000001, 32), 0x80000001)
expect(rotate, (0x80000001, 33), 3)


def rotate_every_width(a: u64) -> tuple[u8, u16, u64]:
    return rotate_left(u8(a), 3), rotate_left(u16(a), 13), rotate_left(a, 63)


compare_edges(rotate_every_width)


def upper_half(a: u64, b: u64) -> u64:
    return multiply_high(a, b)


compare_edges(upper_half)


def ones_complement_sum(a: u64, b: u64) -> u64:
    return add_end_around(a, b)


compare_edges(ones_complement_sum)
expect(upper_half, (0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF), 0xFFFFFFFFFFFFFFFE)


def bit_length(a: u64) -> u64:
    return 64 - count_leading_zeros(a)


compare_edges(bit_length)


def is_power_of_two(a: u32) -> bool:
    return a != 0 and a & (a - 1) == 0


compare_edges(is_power_of_two)


def assert_holds(a: u32) -> u32:
    assert a < 10, "too large"
    return a


compare(assert_holds, 0, 9, 10)
expect(assert_holds, 10, traps=ASSERT)


def assert_without_text(a: u32) -> u32:
    assert a
    return a


compare(assert_without_text, 0, 1)


def explicit_trap(a: u32) -> u32:
    if a == 3:
        trap()
    return a


compare(explicit_trap, 2, 3)
expect(explicit_trap, 3, traps=EXPLICIT)


def never_reached(a: u32) -> u32:
    if a < 10:
        return a
    trap()


compare(never_reached, 9, 10)


def promised_unreachable(a: u32) -> u32:
    if a < 10:
        return a
    unreachable()


compare(promised_unreachable, 9)


def trap_in_callee(a: u32) -> u32:
    return assert_holds(a) + assert_holds(a + 1)


compare(trap_in_callee, 8, 9, 10)


def trap_in_loop(n: u64) -> u64:
    a = Array[u64, 4]()
    total: u64 = 0
    for i in range(10):
        print(i, end="")
        total += a[i // n]
    return total


compare(trap_in_loop, 0, 1, 2, 3)
expect(trap_in_loop, 2, traps=INDEX, prints="012345678")
expect(trap_in_loop, 0, traps=ZERO_DIVISOR, prints="0")


def result_unused_still_traps(a: u32) -> u32:
    x = 1 // a
    return 5


compare(result_unused_still_traps, 0, 1)
expect(result_unused_still_traps, 0, traps=ZERO_DIVISOR)


def variable_unused_still_traps(i: u64) -> u32:
    a = Array[u8, 2]()
    x = a[i]
    return 5


expect(variable_unused_still_traps, 2, traps=INDEX)
expect(variable_unused_still_traps, 1, 5)


def effect_before_trap_is_kept(n: u32) -> u32:
    global shared
    shared = n
    assert n != 1
    return n


def observe() -> u32:
    return shared


expect(effect_before_trap_is_kept, 1, traps=ASSERT)
expect(observe, (), 1)


def lengths_differ(n: u64) -> u8:
    a = Array[u8, 4](b"abcd")
    b = Array[u8, 8]()
    b[:n].copy_from(a)
    return b[3]


compare(lengths_differ, 3, 4, 5)
expect(lengths_differ, 3, traps=LENGTHS)


def slice_reversed(i: u64, j: u64) -> u64:
    return len(b"hello"[i:j])


expect(slice_reversed, (3, 2), traps=SLICE)
expect(slice_reversed, (2, 6), traps=SLICE)
expect(slice_reversed, (2, 5), 3)
