# SPDX-License-Identifier: MIT
"""Order of evaluation: what has an effect happens exactly once and in Python's order."""

from exokernel.metal import *
from casebook import INDEX, ZERO_DIVISOR, compare, expect


@struct
class Trace:
    digits: u64

    def note(self, digit: u64) -> u64:
        self.digits = self.digits * 10 + digit
        return digit

    def flag(self, digit: u64, answer: bool) -> bool:
        self.digits = self.digits * 10 + digit
        return answer


@struct
class Pair:
    first: u64
    second: u64


def binary_left_to_right() -> tuple[u64, u64]:
    t = Trace()
    value = t.note(1) - t.note(2) * t.note(3)
    return value, t.digits


expect(binary_left_to_right, (), (0xFFFFFFFFFFFFFFFB, 123))


def comparison_operands_once() -> tuple[bool, u64]:
    t = Trace()
    answer = t.note(1) < t.note(2) < t.note(3)
    return answer, t.digits


expect(comparison_operands_once, (), (True, 123))


def comparison_chain_stops() -> tuple[bool, u64]:
    t = Trace()
    answer = t.note(2) < t.note(1) < t.note(3)
    return answer, t.digits


expect(comparison_chain_stops, (), (False, 21))


def and_stops() -> u64:
    t = Trace()
    if t.flag(1, False) and t.flag(2, True):
        t.note(3)
    if t.flag(4, True) or t.flag(5, True):
        t.note(6)
    return t.digits


expect(and_stops, (), 146)


def conditional_evaluates_condition_first() -> u64:
    t = Trace()
    x = t.note(1) if t.flag(2, True) else t.note(3)
    return t.digits * 10 + x


expect(conditional_evaluates_condition_first, (), 211)


def three(a: u64, b: u64, c: u64) -> u64:
    return a * 100 + b * 10 + c


def arguments_left_to_right() -> tuple[u64, u64]:
    t = Trace()
    return three(t.note(1), t.note(2), t.note(3)), t.digits


expect(arguments_left_to_right, (), (123, 123))


def keyword_arguments_in_written_order() -> tuple[u64, u64]:
    t = Trace()
    value = three(t.note(1), c=t.note(2), b=t.note(3))
    return value, t.digits


expect(keyword_arguments_in_written_order, (), (132, 123))


def fields_in_written_order() -> tuple[u64, u64, u64]:
    t = Trace()
    p = Pair(second=t.note(1), first=t.note(2))
    return p.first, p.second, t.digits


expect(fields_in_written_order, (), (2, 1, 12))


def value_before_target() -> u64:
    t = Trace()
    a = Array[u64, 10]()
    a[t.note(1)] = t.note(2)
    return t.digits


expect(value_before_target, (), 21)


def augmented_target_before_value() -> tuple[u64, u64]:
    t = Trace()
    a = Array[u64, 10]()
    a[t.note(1)] += t.note(2)
    return t.digits, a[1]


expect(augmented_target_before_value, (), (12, 2))


def bump(a: Span[u64]) -> u64:
    a[0] = 100
    return 1


def augmented_reads_before_the_value_runs() -> u64:
    a = Array[u64, 1]([5])
    a[0] += bump(a)
    return a[0]


expect(augmented_reads_before_the_value_runs, (), 6)


def set_second(p: Pair) -> u64:
    p.second = 50
    return 1


def augmented_field_reads_first() -> u64:
    p = Pair(0, 7)
    p.second += set_second(p)
    return p.second


expect(augmented_field_reads_first, (), 8)


def operand_read_before_call() -> u64:
    p = Pair(0, 7)
    return p.second + set_second(p) + p.second


expect(operand_read_before_call, (), 58)


def local_read_before_change(x: u64) -> u64:
    a = Array[u64, 1]([x])
    return a[0] * 1000 + bump(a) * 0 + a[0]


expect(local_read_before_change, 3, 3100)


def swap(a: u32, b: u32) -> tuple[u32, u32]:
    a, b = b, a
    return a, b


compare(swap, (1, 2), (7, 7))
expect(swap, (1, 2), (2, 1))


def rotate_three(a: u32, b: u32, c: u32) -> tuple[u32, u32, u32]:
    a, b, c = b, c, a
    return a, b, c


expect(rotate_three, (1, 2, 3), (2, 3, 1))


def swap_elements(i: u64, j: u64) -> tuple[u8, u8, u8]:
    a = Array[u8, 3]([10, 20, 30])
    a[i], a[j] = a[j], a[i]
    return a[0], a[1], a[2]


compare(swap_elements, (0, 1), (0, 2), (1, 1), (2, 1))
expect(swap_elements, (0, 2), (30, 20, 10))


def targets_left_to_right() -> tuple[u8, u8, u8]:
    a = Array[u8, 3]()
    i: u64 = 0
    i, a[i] = 2, 9
    return a[0], a[1], a[2]


expect(targets_left_to_right, (), (0, 0, 9))


def fibonacci_by_pairs(n: u32) -> u64:
    a: u64 = 0
    b: u64 = 1
    while n:
        a, b = b, a + b
        n -= 1
    return a


compare(fibonacci_by_pairs, 0, 1, 2, 10, 90, 100)
expect(fibonacci_by_pairs, 10, 55)
expect(fibonacci_by_pairs, 90, 2880067194370816120)


def swap_fields() -> tuple[u64, u64]:
    p = Pair(1, 2)
    p.first, p.second = p.second, p.first
    return p.first, p.second


expect(swap_fields, (), (2, 1))


def chained_assignment() -> tuple[u32, u32]:
    a: u32 = 0
    b: u32 = 0
    a = b = 7
    a += 1
    return a, b


expect(chained_assignment, (), (8, 7))


def effect_before_trap(n: u64) -> u64:
    print("before")
    a = Array[u8, 2]()
    x = a[n]
    print("after")
    return u64(x)


expect(effect_before_trap, 1, 0, prints="before\nafter\n")
expect(effect_before_trap, 2, traps=INDEX, prints="before\n")


def left_trap_comes_first(i: u64, d: u64) -> u64:
    a = Array[u64, 2]()
    return a[i] + 1 // d


expect(left_trap_comes_first, (5, 0), traps=INDEX)
expect(left_trap_comes_first, (0, 0), traps=ZERO_DIVISOR)
expect(left_trap_comes_first, (0, 1), 1)


def value_traps_before_index(i: u64, d: u64) -> u64:
    a = Array[u64, 2]()
    a[i] = 1 // d
    return a[i]


expect(value_traps_before_index, (5, 0), traps=ZERO_DIVISOR)
expect(value_traps_before_index, (5, 1), traps=INDEX)


def index_traps_before_augmented_value(i: u64, d: u64) -> u64:
    a = Array[u64, 2]()
    a[i] += 1 // d
    return a[0]


expect(index_traps_before_augmented_value, (5, 0), traps=INDEX)
expect(index_traps_before_augmented_value, (0, 0), traps=ZERO_DIVISOR)


def printed_arguments_in_order() -> u64:
    t = Trace()
    print(t.note(1), t.note(2), f"{t.note(3)}-{t.note(4)}")
    return t.digits


expect(printed_arguments_in_order, (), 1234, prints="1 2 3-4\n")


def range_bounds_once(n: u64) -> u64:
    t = Trace()
    for _ in range(t.note(1), t.note(n)):
        n = 100
    return t.digits


expect(range_bounds_once, 4, 14)


def while_condition_each_time() -> u64:
    t = Trace()
    while t.note(1) and t.digits < 1000:
        pass
    return t.digits


expect(while_condition_each_time, (), 1111)


def statement_for_its_effect() -> u64:
    t = Trace()
    t.note(4)
    t.note(2)
    return t.digits


expect(statement_for_its_effect, (), 42)


def assert_evaluates_once() -> u64:
    t = Trace()
    assert t.flag(7, True), "seven"
    return t.digits


expect(assert_evaluates_once, (), 7)


def nested_calls() -> tuple[u64, u64]:
    t = Trace()
    return three(three(t.note(1), 0, 0), t.note(2), three(0, 0, t.note(3))), t.digits


expect(nested_calls, (), (10023, 123))


def minimum_evaluates_once() -> tuple[u64, u64]:
    t = Trace()
    return min(t.note(3), t.note(1), t.note(2)), t.digits


expect(minimum_evaluates_once, (), (1, 312))


def match_subject_once() -> u64:
    t = Trace()
    match t.note(3):
        case 1:
            t.note(9)
        case 2 | 3:
            t.note(8)
        case _:
            t.note(7)
    return t.digits


expect(match_subject_once, (), 38)


def augmented_reference_base_once() -> tuple[u64, u64]:
    t = Trace()
    pairs = Array[Pair, 3]()
    pairs[t.note(2)].first += 5
    pairs[t.note(2)].first *= 2
    return pairs[2].first, t.digits


expect(augmented_reference_base_once, (), (10, 22))


def nothing_is_printed_before_all_is_evaluated(d: u32) -> None:
    print("one", 10 // d)


expect(nothing_is_printed_before_all_is_evaluated, 0, traps=ZERO_DIVISOR, prints="")
expect(nothing_is_printed_before_all_is_evaluated, 5, None, prints="one 2\n")
