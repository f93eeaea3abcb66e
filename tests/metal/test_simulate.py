# SPDX-License-Identifier: MIT
"""The rules of docs/dialect.md as CPython runs them under `simulate`, each with its answer worked out by hand.

test_cases.py compares the simulation with compiled code; here nothing is compiled, so a mistake that both share shows.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exokernel.metal import *
from exokernel.metal.errors import Trap
from exokernel.metal.language import HardwareOnly
from exokernel.metal.simulate import capture, simulated

sys.path.insert(0, str(Path(__file__).parent))
counters: Any = importlib.import_module("simulate_counters")

T = TypeVar("T")
LIMIT = 10
TYPED: Final[u16] = 40
MASKS = (1, 2, 4)


class Color(IntEnum):
    RED = 1
    GREEN = 2


@struct
class Point:
    x: u32
    y: i16

    def moved(self, dx: u32) -> u32:
        self.x += dx
        return self.x


@struct
class Box:
    corner: Point
    flags: counters.Flags
    wire: u16be
    apply: Callable[[u8], u16]
    bytes_seen: Array[u8, 4]


@bits(u8)
class Level:
    low: u8 = field(0, 3)

    def raised(self) -> u8:
        self.low = self.low + 1
        return self.low


def typed(value: Any) -> tuple[type, Any]:
    """A result with its type, which plain equality would ignore."""
    return type(value), value


# ---- parameters, results, assignments


def identity(x: u8) -> u32:
    return x


def test_arguments_and_results_convert() -> None:
    assert typed(simulated(identity)(7)) == (u32, 7)
    assert typed(simulated(identity)(u8(7))) == (u32, 7)
    with pytest.raises(OverflowError):
        simulated(identity)(256)
    with pytest.raises(TypeError):
        simulated(identity)(u16(7))
    with pytest.raises(TypeError):
        simulated(identity)(True)
    with pytest.raises(TypeError, match="takes"):
        simulated(identity)()
    assert simulated(identity)(x=3) == 3


def first_assignment_in_the_text(early: bool) -> u32:
    if early:  # noqa: SIM108 - the order of the text is the point
        x = u32(1)
    else:
        x = u8(255)
    x = x + 255
    return x


def test_the_first_assignment_in_the_text_fixes_the_type_not_the_first_that_runs() -> None:
    assert simulated(first_assignment_in_the_text)(False) == 510


def literal_branch(wide: bool, x: u8) -> u16:
    y = x if wide else 200
    y = y + 100
    return y


def test_a_literal_branch_takes_the_other_branchs_type() -> None:
    assert simulated(literal_branch)(False, 1) == (200 + 100) % 256


def common_branch(narrow: bool, a: u8, b: u16) -> u32:
    return (a if narrow else b) + 1


def test_branches_meet_in_their_common_type() -> None:
    assert simulated(common_branch)(True, 255, 0) == 256


def unpacked(a: u8) -> tuple[u16, bool]:
    low, even = pair(a)
    high: u16 = 0
    low, high = high, low
    low, high = high, low
    return low + high, even


def pair(a: u8) -> tuple[u16, bool]:
    return a, a % 2 == 0


def test_tuples_convert_item_by_item() -> None:
    value, even = simulated(unpacked)(9)
    assert typed(value) == (u16, 9)
    assert even is False


def chained(a: u8) -> u32:
    x: u32 = 0
    y: u16 = 0
    x = y = a
    return (x << 8) + y


def test_each_target_of_a_chain_converts_by_itself() -> None:
    assert simulated(chained)(3) == 0x303


# ---- integers


def wraps(a: u8, b: u8) -> u8:
    c = a * b
    c += 10
    c -= 20
    return c


@given(st.integers(0, 255), st.integers(0, 255))
def test_arithmetic_wraps(a: int, b: int) -> None:
    assert simulated(wraps)(a, b) == (a * b - 10) % 256


def divides(a: i32, b: i32) -> i32:
    return a // b * 1000 + a % b


@given(st.integers(-(1 << 31), (1 << 31) - 1), st.integers(-5, 5))
def test_division_rounds_down_and_zero_traps(a: int, b: int) -> None:
    if b == 0:
        with pytest.raises(Trap, match="zero divisor") as caught:
            simulated(divides)(a, b)
        assert caught.value.file == __file__
        assert caught.value.line == divides.__code__.co_firstlineno + 1
        return
    exact = a // b * 1000 + a % b
    assert simulated(divides)(a, b) == (exact + (1 << 31)) % (1 << 32) - (1 << 31)


def shifts(x: i8, n: u8) -> i8:
    return (x << n) | (x >> n)


def test_shifts_by_the_width_or_more() -> None:
    assert simulated(shifts)(-3, 9) == -1
    assert simulated(shifts)(3, 9) == 0


def truths(x: u32, p: bool) -> u32:
    total: u32 = 0
    both = x and p
    if both:
        total += 1
    if not x or p:
        total += 2
    while x:
        x -= 1
    total += u32(both) * 4
    return total


def test_and_or_not_give_bool() -> None:
    assert simulated(truths)(5, True) == 7
    assert simulated(truths)(0, False) == 2


def builtins(a: u8, b: u16, s: i8, data: bytes) -> u64:
    low = min(a, b, 100)
    high = max(200, a)
    high += 100
    size = len(data)
    return u64(low) * 1000000 + u64(high) * 1000 + u64(u8(abs(s))) + size


def test_builtins_have_typed_results() -> None:
    assert simulated(builtins)(7, 9, -128, b"abc") == 7 * 1000000 + (300 % 256) * 1000 + 128 + 3


def constants(x: u8) -> u32:
    return u32(x & Color.GREEN) + TYPED * 1000 + MASKS[2] + LIMIT * LIMIT + sizeof(Point) + offsetof(Point, "y")


def test_constants_of_the_module() -> None:
    assert simulated(constants)(3) == 2 + 40000 + 4 + 100 + 8 + 4


# ---- loops and match


def counts(n: u8) -> u64:
    total: u64 = 0
    for i in range(3):
        total += i  # u64, since the bounds are constants
    for j in range(n, 255, 100):
        wrapped = j + 56
        total += wrapped
    for k in range(2, -3, -2):
        total += u64(k + 2)
    else:
        total += 1000
    return total


def test_ranges_count_in_the_type_of_their_bounds() -> None:
    assert simulated(counts)(200) == 3 + (200 + 56) % 256 + (4 + 2 + 0) + 1000
    assert simulated(counts)(100) == 3 + 156 + 0 + 6 + 1000


def elements(data: Span[u8], text: bytes, wire: Array[u16be, 2]) -> u64:
    total: u64 = 0
    for byte in data:
        byte = byte + 1
        total += byte
    for i, byte in enumerate(text):
        total += i * byte
    for word in wire:
        total += word
    return total


def test_elements_have_the_native_type() -> None:
    data = Array[u8, 2]([255, 1])
    assert simulated(elements)(data, b"ab", Array[u16be, 2]([1000, 2])) == 0 + 2 + 98 + 1002
    assert simulated(elements)(bytearray(b"\x01"), data, [5, 6]) == 2 + 1 + 11


def chooses(x: u8) -> u8:
    match x:
        case Color.RED | 7:
            return 1
        case y if y > 250:
            y = y + 10
            return y
        case LIMITS.TOP:
            return 3
        case _:
            return 4


class LIMITS:
    TOP = 99


@pytest.mark.parametrize(("given_", "answer"), [(1, 1), (7, 1), (251, 5), (99, 3), (98, 4)])
def test_match(given_: int, answer: int) -> None:
    assert simulated(chooses)(given_) == answer


# ---- objects


def objects(n: u32) -> u64:
    point = Point(n, y=-1)
    same = point
    same.moved(5)
    box = Box(apply=twice, wire=0x1234)
    box.corner.x = point.x
    box.corner.copy_from(point)
    box.bytes_seen.fill(7)
    box.bytes_seen[1:3].copy_from(b"\x01\x02")
    total = u64(box.apply(200)) + box.corner.x
    if same is point and box.corner is not point and box.corner is box.corner:
        total += 1000
    for seen in box.bytes_seen:
        total += seen
    return total + box.wire


def twice(x: u8) -> u16:
    return u16(x) * 2


def test_objects() -> None:
    assert simulated(objects)(1) == 400 + 6 + 1000 + (7 + 1 + 2 + 7) + 0x1234


def bit_values() -> u64:
    box = Box(apply=twice)
    box.flags.level = 5
    copied = box.flags
    copied.level = 9
    level = Level(14)
    first = level.raised()
    again = level.raised()
    levels = Array[Level, 2]()
    levels[1].low = 3
    levels[0] = levels[1]
    levels[0].low += 1
    a, b = levels[0], levels[1]
    a, b = b, a
    a.low = 8
    return (
        u64(box.flags.level) * 10**6 + u64(copied.level) * 10**5 + u64(first) * 1000 + u64(again) * 10
        + u64(levels[0].raw) + u64(b.low) * 100
    )  # fmt: skip


def test_bits_are_values() -> None:
    assert simulated(bit_values)() == 5 * 10**6 + 9 * 10**5 + 15 * 1000 + 15 * 10 + 4 + 4 * 100


def pointers(data: Array[u16be, 4]) -> u64:
    p = addr(data[1])
    p[1] = 500
    q = p + 2
    point = Point(9)
    field_pointer = addr(point.x)
    field_pointer[0] += 1
    distance = q - p
    return u64(data[2]) * 1000 + u64(distance) * 100 + point.x + u64(q[0]) + u64(bool(Ptr[u8](0)))


def test_pointers() -> None:
    data = Array[u16be, 4]([1, 2, 3, 4])
    assert simulated(pointers)(data) == 500 * 1000 + 200 + 10 + 4
    assert data[2] == 500


def text(s: str, data: bytes) -> u64:
    answer: u64 = 0
    if s == "yes":
        answer += 1
    if data == b"abc" or data[1:] != b"bc":
        answer += 2
    if data == s.encode():
        answer += 4
    return answer + data[0]


def test_text() -> None:
    assert simulated(text)("yes", b"abc") == 1 + 2 + 97
    assert simulated(text)("xbc", Array[u8, 3](b"xbc")) == 4 + 120


@pytest.mark.parametrize(("index", "reason"), [(3, "index out of range"), (0, "slice bounds"), (1, "view too short")])
def test_traps_of_objects(index: int, reason: str) -> None:
    with pytest.raises(Trap, match=reason):
        simulated(trapping)(index, b"abc")


def trapping(i: u64, data: Span[u8]) -> u8:
    value = data[i]
    rest = data[1:i] if i != 1 else data
    view(Header, rest).kind = value
    return value


@struct(packed=True)
class Header:
    kind: u8
    length: u32be


# ---- functions


def largest(a: T, b: T) -> T:
    return a if a > b else b


def summed(values: Span[T]) -> T:
    total = values[0]
    for value in values[1:]:
        total += value
    return total


def generic(a: u8, data: Span[u16]) -> u32:
    x = largest(a, 250)
    x += 10
    return u32(x) + largest(u32(1), 70000) + summed(data)


def test_generic_functions_run_for_each_type() -> None:
    assert simulated(generic)(3, [65535, 2]) == (250 + 10) % 256 + 70000 + 1
    assert typed(simulated(largest)(u8(3), 4)) == (u8, 4)
    with pytest.raises(TypeError, match="not determined"):
        simulated(largest)(3, 4)


def keywords() -> u32:
    return weighted(b=2, a=u8(1))


def weighted(a: u32, b: u8) -> u32:
    return a * 10 + b


def test_keyword_arguments() -> None:
    assert simulated(keywords)() == 12


def factorial(n: u64) -> u64:
    return 1 if n == 0 else n * factorial(n - 1)


def test_recursion() -> None:
    assert simulated(factorial)(20) == 2432902008176640000


def calls_back(f: Callable[[u8], u16], n: u8) -> u16:
    return f(n) + 1


def test_function_references_may_be_the_workstations() -> None:
    seen: list[int] = []

    class Host:
        def __call__(self, n: int) -> int:
            seen.append(n)
            return 300

    assert simulated(calls_back)(twice, 200) == 401
    assert simulated(calls_back)(Host(), 4) == 301
    assert seen == [4]


# ---- module variables

total: u8 = 250
history: Array[u32, 3] = Array[u32, 3]()


def counting(n: u8) -> u8:
    global total
    total += n
    counters.count = total
    counters.count += 1000
    p = addr(total)
    p[0] += 1
    counters.flags.level = total
    flags = counters.flags
    flags.ready = True
    history[1] += total
    counters.table[total] = 9
    return total + 255


def test_module_variables_are_shared_and_typed() -> None:
    assert simulated(counting)(7) == (250 + 7) % 256 + 1 + 255 - 256
    assert typed(total) == (u8, 2)
    assert typed(counters.count) == (u32, 1001)
    assert (counters.flags.level, counters.flags.ready, history[1], counters.table[2]) == (2, False, 2, 9)


# ---- printing


def printing(n: u32, s: i8, flag: bool, name: str, raw: bytes) -> None:
    print("n", n, flag, sep="-", end=";")
    print(name)
    print(f"{n:08x}|{s:>6}|{n:#b}|{flag}|{flag:d}|{name:^6}|{raw}|{raw:.>4}|{n:c}|{LIMIT}|{s:*<4d}|")
    print()


def test_printing() -> None:
    run = simulated(printing)
    run(65, -7, True, "ab", b"xy")
    assert run.output.decode() == ("n-65-True;ab\n00000041|    -7|0b1000001|True|1|  ab  |xy|..xy|A|10|-7**|\n\n")
    with capture() as sink:
        run(0x20AC, 0, False, "", b"")
    assert "|€|" in sink.decode()


def prints_then_stops(n: u8) -> None:
    print("before")
    assert n > 5, "too small"
    print("after")


def test_output_before_a_trap_is_kept() -> None:
    run = simulated(prints_then_stops)
    with pytest.raises(Trap) as caught:
        run(5)
    assert (caught.value.reason, run.output) == ("assert", b"before\n")
    assert caught.value.line == prints_then_stops.__code__.co_firstlineno + 2
    run(6)
    assert run.output == b"before\nafter\n"


# ---- what is refused


def with_asm(n: u64) -> u64:
    if n == 0:
        return 0
    return asm("rdtsc", "={rax}", returns=u64)


def no_width() -> u64:
    x = 5
    return x


def lossy(x: u64) -> u32:
    y: u32 = x
    return y


def narrowed(x: u32) -> u8:
    return x


def mixes(x: u32, y: i32) -> u32:
    return u32(x + y)


def unsupported() -> u64:
    return sum([1, 2])


def test_what_is_refused() -> None:
    assert simulated(with_asm)(0) == 0
    with pytest.raises(HardwareOnly):
        simulated(with_asm)(1)
    for function, arguments in ((no_width, ()), (lossy, (1,)), (narrowed, (1,)), (mixes, (1, 1)), (unsupported, ())):
        with pytest.raises(TypeError):
            simulated(function)(*arguments)
    with pytest.raises(TypeError, match="not a function"):
        simulated(print)
