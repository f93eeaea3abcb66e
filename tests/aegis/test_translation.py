# SPDX-License-Identifier: MIT
"""The translation of handlers: each instruction does what RFC 9669 says, translated and interpreted, and whatever a
program does stays inside its memory and its budget.
"""

from __future__ import annotations

import ctypes
import itertools

import pytest
from tests.aegis.handlers import EXIT, both, inspect, instruction, machine, wide

from exokernel.aegis.ebpf import FRAME_BYTES, LIMIT, Atomic, Reason
from exokernel.aegis.inspection import Profile
from exokernel.host.ash_generator import Generator
from exokernel.host.ash_machine import CODE_ROOM, CONTEXT, DATA_END, DATA_LIMIT, FRAME_PAGE, FRAME_TOP, FRAMES

M32, M64 = 2**32 - 1, 2**64 - 1
VALUES = [0, 1, 2, 3, 31, 32, 33, 63, 64, 0x7F, 0x80, 0xFF, 0x8000, 2**31 - 1, 2**31, M32, 2**32, 2**63 - 1, 2**63, M64,
          M64 - 1, 0x0123456789ABCDEF, 0xFEDCBA9876543210]  # fmt: skip
IMMEDIATES = [0, 1, -1, 7, 31, 32, 33, 63, 64, 127, -128, 128, 2**31 - 1, -(2**31)]
CALLEE_SAVED = range(6, 10)


def result(program: bytes, data: bytes = b"") -> int:
    """r0 of a program that returns."""
    outcome = both(program + EXIT, data)
    assert outcome.outcome == "returned", outcome
    return outcome.result


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def expected(operation: int, offset: int, a: int, b: int, bits: int) -> int:
    """Section 4.1, a third time, for the numbers that the tests choose."""
    mask = (1 << bits) - 1
    a, b = a & mask, b & mask
    if operation in (0x30, 0x90):
        x, y = (signed(a, bits), signed(b, bits)) if offset else (a, b)
        quotient = 0 if y == 0 else abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        return (quotient if operation == 0x30 else x - quotient * y) & mask
    shift = b % bits
    return {
        0x00: a + b, 0x10: a - b, 0x20: a * b, 0x40: a | b, 0x50: a & b, 0x60: a << shift, 0x70: a >> shift,
        0xA0: a ^ b, 0xB0: b, 0xC0: signed(a, bits) >> shift,
    }[operation] & mask  # fmt: skip


BINARY = [0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xA0, 0xB0, 0xC0]
BOTH_OFFSETS = [(o, f) for o in BINARY for f in ((0, 1) if o in (0x30, 0x90) else (0,))]


@pytest.mark.parametrize("family", [4, 7])
@pytest.mark.parametrize(("operation", "offset"), BOTH_OFFSETS)
def test_arithmetic(operation: int, offset: int, family: int) -> None:
    """All pairs of values at the edges: INT_MIN / -1 among them, divisors and counts of 0, 32-bit results."""
    bits = 64 if family == 7 else 32
    for a, b in itertools.product(VALUES, VALUES):
        program = wide(3, a) + wide(4, b) + instruction(family | 8 | operation, 3, 4, offset) + instruction(0xBF, 0, 3)
        assert result(program) == expected(operation, offset, a, b, bits), (hex(a), hex(b))
    for a, immediate in itertools.product(VALUES, IMMEDIATES):
        program = wide(3, a) + instruction(family | operation, 3, 0, offset, immediate) + instruction(0xBF, 0, 3)
        assert result(program) == expected(operation, offset, a, immediate, bits), (hex(a), immediate)


def pattern(register: int) -> int:
    return 0x1122334455667788 * (register + 3) & M64


def every_register(program: bytes, destination: int, source: int, want: int, changed: tuple[int, ...] = ()) -> None:
    """Run between registers of known contents; `destination` becomes `want`, all others stay (but those `changed`)."""
    filled = b"".join(wide(r, pattern(r)) for r in range(10))
    for seen in range(10):
        if seen in changed:
            continue
        value = result(filled + program + instruction(0xBF, 0, seen))
        assert value == (want if seen == destination else pattern(seen)), (destination, source, seen)


@pytest.mark.parametrize("destination", range(10))
@pytest.mark.parametrize("family", [4, 7])
def test_every_register_pair(family: int, destination: int) -> None:
    """Of each operation; the machine's shifts and divisions have registers of their own, which must stay what they are."""
    bits = 64 if family == 7 else 32
    for source in range(10):
        for operation, offset in BOTH_OFFSETS:
            want = expected(operation, offset, pattern(destination), pattern(source), bits)
            every_register(instruction(family | 8 | operation, destination, source, offset), destination, source, want)


@pytest.mark.parametrize("destination", range(10))
def test_every_register_alone(destination: int) -> None:
    value = pattern(destination)
    little = value.to_bytes(8, "little")
    cases = [(0x87, 0, -value & M64), (0x84, 0, -value & M32)]
    for width in (16, 32, 64):
        swapped = int.from_bytes(little[: width // 8], "big")
        cases += [(0xD4, width, value & (1 << width) - 1), (0xDC, width, swapped), (0xD7, width, swapped)]
    for opcode, immediate, want in cases:
        every_register(instruction(opcode, destination, 0, 0, immediate), destination, 0, want)
    for operation, offset in BOTH_OFFSETS:
        for family, bits in ((4, 32), (7, 64)):
            for immediate in (0, 1, -1, 5, 1000, -(2**31)):
                want = expected(operation, offset, value, immediate, bits)
                every_register(instruction(family | operation, destination, 0, offset, immediate), destination, 0, want)


@pytest.mark.parametrize(("family", "bits", "widths"), [(4, 32, (8, 16)), (7, 64, (8, 16, 32))])
def test_moves_that_extend_the_sign(family: int, bits: int, widths: tuple[int, ...]) -> None:
    for width, value in itertools.product(widths, VALUES):
        for destination, source in itertools.product(range(10), range(10)):
            program = wide(source, value) + instruction(family | 0xB8, destination, source, width)
            assert result(program + instruction(0xBF, 0, destination)) == signed(value, width) & (1 << bits) - 1


def test_a_frame_pointer_moved_in_32_bits() -> None:
    assert result(instruction(0xBC, 0, 10)) == FRAME_TOP


# ---- jumps

CONDITIONS = {
    0x10: lambda a, b, bits: a == b,
    0x20: lambda a, b, bits: a > b,
    0x30: lambda a, b, bits: a >= b,
    0x40: lambda a, b, bits: a & b != 0,
    0x50: lambda a, b, bits: a != b,
    0x60: lambda a, b, bits: signed(a, bits) > signed(b, bits),
    0x70: lambda a, b, bits: signed(a, bits) >= signed(b, bits),
    0xA0: lambda a, b, bits: a < b,
    0xB0: lambda a, b, bits: a <= b,
    0xC0: lambda a, b, bits: signed(a, bits) < signed(b, bits),
    0xD0: lambda a, b, bits: signed(a, bits) <= signed(b, bits),
}


def taken(jump: bytes, before: bytes) -> bool:
    program = before + jump + instruction(0xB7, 0, immediate=0) + EXIT + instruction(0xB7, 0, immediate=1)
    return bool(result(program))


@pytest.mark.parametrize("family", [5, 6])
@pytest.mark.parametrize("operation", CONDITIONS)
def test_conditions(operation: int, family: int) -> None:
    bits = 64 if family == 5 else 32
    mask = (1 << bits) - 1
    for a, b in itertools.product(VALUES, VALUES):
        want = CONDITIONS[operation](a & mask, b & mask, bits)
        assert taken(instruction(family | 8 | operation, 3, 4, 2), wide(3, a) + wide(4, b)) == want
    for a, immediate in itertools.product(VALUES, IMMEDIATES):
        want = CONDITIONS[operation](a & mask, immediate & mask, bits)
        assert taken(instruction(family | operation, 3, 0, 2, immediate), wide(3, a)) == want


@pytest.mark.parametrize("family", [5, 6])
def test_conditions_of_every_register_pair(family: int) -> None:
    for destination, source in itertools.product(range(10), range(10)):
        before = wide(destination, 5) + wide(source, 5)
        assert taken(instruction(family | 0x18, destination, source, 2), before)
        assert taken(instruction(family | 0x10, destination, 0, 2, 5), before)
        if destination != source:
            assert taken(instruction(family | 0x28, destination, source, 2), wide(destination, 6) + wide(source, 5))


@pytest.mark.parametrize("distance", [0, 1, 2, 7, 8, 9, 15, 16, 17, 100, 1000, LIMIT - 8])
def test_jumps_of_every_length(distance: int) -> None:
    """Forwards, and backwards with and without a charge."""
    skipped = instruction(0xB7, 0, immediate=9) * distance
    zero = instruction(0xB7, 0)
    for jump in (instruction(0x05, offset=distance), instruction(0x06, immediate=distance)):
        assert result(zero + jump + skipped) == 0
    for opcode in (0x15, 0x16):
        assert result(zero + instruction(opcode, 0, 0, distance) + skipped) == 0
    back = zero + instruction(0xB7, 3, immediate=2) + skipped + instruction(0x07, 0, immediate=1)
    back += instruction(0x17, 3, immediate=1) + instruction(0x55, 3, 0, -distance - 3)
    assert result(back) == (2 if not distance else 10)


# ---- memory


@pytest.mark.parametrize("base", range(11))
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_loads_and_stores_through_every_register(size: int, base: int) -> None:
    opcode = {4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18}[size]
    data = bytes(range(0xF0, 0x100)) + bytes(range(16))
    mask = (1 << 8 * size) - 1
    for other in range(10):
        if base < 10:
            point, offset = instruction(0xBF, base, 1), 12
        else:
            point, offset = b"", -24
        place = 12 if base < 10 else None
        load = instruction(0x61 | opcode, other, base, offset)
        if place is not None:
            want = int.from_bytes(data[place : place + size], "little")
            assert result(point + load + instruction(0xBF, 0, other), data) == want
            if size < 8:
                extended = instruction(0x81 | opcode, other, base, offset) + instruction(0xBF, 0, other)
                assert result(point + extended, data) == signed(want, 8 * size) & M64
        for immediate in (0x1234567, -2):
            store = instruction(0x62 | opcode, base, 0, offset, immediate)
            assert result(point + store + load + instruction(0xBF, 0, other), data) == immediate & mask
        if other == base:
            continue
        store = point + wide(other, pattern(other)) + instruction(0x63 | opcode, base, other, offset)
        again = instruction(0xB7, other) + load + instruction(0xBF, 0, other)
        assert result(store + again, data) == pattern(other) & mask
        if place is not None:
            after = both(store + instruction(0xB7, 0) + EXIT, data).data
            want_after = bytearray(data)
            want_after[place : place + size] = (pattern(other) & mask).to_bytes(size, "little")
            assert after == bytes(want_after)


def test_offsets_of_every_size() -> None:
    data = bytes(i * 7 % 256 for i in range(40000))
    for offset in (0, 1, 127, 128, 129, 255, 256, 32767):
        assert result(instruction(0x71, 0, 1, offset), data) == data[offset]
    for offset in (-1, -128, -129, -32768):
        program = instruction(0xBF, 3, 1) + instruction(0x07, 3, immediate=33000) + instruction(0x71, 0, 3, offset)
        assert result(program, data) == data[33000 + offset]
    for offset in (-1, -127, -128, -129, -512):
        program = instruction(0x72, 10, 0, offset, 77) + instruction(0x71, 0, 10, offset)
        assert result(program) == 77


BETWEEN = {
    "nothing": b"",
    "moved": instruction(0x07, 3, immediate=8),
    "another": instruction(0xBF, 3, 6),
    "loaded": instruction(0x7B, 10, 6, -8) + instruction(0x79, 3, 10, -8),
    "shift": instruction(0x6F, 5, 4),
    "shift of the fourth": instruction(0x7F, 4, 5),
    "division": instruction(0x3F, 5, 4),
    "remainder": instruction(0x94, 5, immediate=7),
    "atomic": instruction(0xDB, 6, 5, 0, 0x51),
    "exchange": instruction(0xDB, 10, 3, -16, 0xE1) + instruction(0xBF, 3, 6),
    "checked": instruction(0x79, 5, 6, -8),
    "call": instruction(0xBF, 7, 3) + instruction(0x85, 0, 1) + instruction(0xBF, 3, 7) + instruction(0xBF, 2, 7),
    "jump": instruction(0x15, 2, 0, 1) + instruction(0x07, 3, immediate=8),
    "jump the other way": instruction(0x55, 2, 0, 1) + instruction(0x07, 3, immediate=8),
    "jump back": instruction(0x07, 3, immediate=8)
    + instruction(0x79, 5, 3)
    + instruction(0xA5, 3, 0, -3, DATA_END - 24),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_an_address_is_not_believed_after_it_changed(name: str) -> None:
    """Two accesses through one register, with something between them that changes it, or what the machine works with."""
    data = bytes(i * 37 % 256 for i in range(64))
    start = instruction(0xBF, 3, 1) + instruction(0xBF, 6, 1) + instruction(0x07, 6, immediate=16)
    start += wide(4, 3) + wide(5, 1 << 40 | 77) + instruction(0x7A, 10, 0, -16) + instruction(0xB7, 0)
    for load in (instruction(0x79, 0, 3, 8), instruction(0x7B, 3, 2, 8) + instruction(0x79, 0, 3, 8)):
        end = instruction(0x07, 0, immediate=1) + EXIT + instruction(0xB7, 0) + EXIT
        # The call's distance is to the last function, behind the second access and the exit.
        between = bytearray(BETWEEN[name])
        if name == "call":
            between[12:16] = (2 + len(load) // 8 + 2).to_bytes(4, "little")  # over two moves, the access, two more
        else:
            end = end[:16]
        outcome = both(start + instruction(0x79, 0, 3, 8) + bytes(between) + load + end, data)
        assert outcome.outcome == "returned", outcome


def test_an_address_is_not_believed_behind_a_call() -> None:
    main = instruction(0xBF, 6, 1) + instruction(0x07, 6, immediate=8) + instruction(0x79, 0, 6)
    main += instruction(0x85, 0, 1, 0, 2) + instruction(0x79, 0, 6) + EXIT
    callee = instruction(0x79, 0, 1) + EXIT
    assert both(main + callee, bytes(8) + b"\1" + bytes(7)).result == 1


ATOMICS = [a | f for a in (Atomic.ADD, Atomic.OR, Atomic.AND, Atomic.XOR) for f in (0, 1)] + [0xE1, 0xF1]


@pytest.mark.parametrize("size", [4, 8])
@pytest.mark.parametrize("operation", ATOMICS)
def test_atomics_of_every_register_pair(operation: int, size: int) -> None:
    opcode = 0xC3 if size == 4 else 0xDB
    mask = (1 << 8 * size) - 1
    old = 0x8877665544332211
    for base, source in itertools.product(range(11), range(11)):
        fetched = operation & 1 and operation != 0xF1
        if (source == 10 and fetched) or base == source:
            continue
        filled = b"".join(wide(r, pattern(r)) for r in range(10) if r != base)
        if base < 10:
            filled = instruction(0xBF, base, 1) + b"".join(wide(r, pattern(r)) for r in range(10) if r != base)
        point = b"" if base == 10 else filled
        prepare = filled if base == 10 else point
        if base == 10:
            prepare += wide(9, old) + instruction(0x7B, 10, 9, -16) + wide(9, pattern(9))
        for equal in (False, True) if operation == 0xF1 and base != 0 else (False,):
            comparand = old & mask | (0xABC << 32 if size == 4 else 0) if equal else pattern(0)
            compare = wide(0, comparand & M64) if base != 0 else b""
            program = prepare + compare + instruction(opcode, base, source, -16 if base == 10 else 8, operation)
            for seen in {0, source, 4} - {base}:
                both(program + instruction(0xBF, 0, seen) + EXIT, bytes(8) + old.to_bytes(8, "little"))
            # What the memory holds then.
            given = FRAME_TOP if source == 10 else (comparand if source == 0 and base != 0 else pattern(source))
            given &= mask
            if operation == 0xF1:
                current = DATA_END - 16 if base == 0 else comparand
                new = given if old & mask == current & mask else old & mask
            else:
                new = {0x00: (old & mask) + given, 0x40: old | given, 0x50: old & given, 0xA0: old ^ given,
                       0xE0: given}[operation & 0xF0] & mask  # fmt: skip
            if base != 10:
                after = both(program + instruction(0xB7, 0) + EXIT, bytes(8) + old.to_bytes(8, "little")).data
                assert after == bytes(8) + (old & ~mask & M64 | new).to_bytes(8, "little"), (base, source)
            if fetched:
                assert (
                    result(program + instruction(0xBF, 0, source), bytes(8) + old.to_bytes(8, "little")) == old & mask
                )
            elif operation == 0xF1:
                assert result(program, bytes(8) + old.to_bytes(8, "little")) == old & mask


# ---- calls


def test_calls_keep_registers_and_frames() -> None:
    """Seven calls deep; each function fills r6 to r9 and its frame, calls, and finds them as they were."""
    functions = []
    for depth in range(8):
        body = b"".join(wide(r, pattern(r) ^ depth) for r in CALLEE_SAVED)
        body += b"".join(instruction(0x7A, 10, 0, -8 * i, depth * 100 + i) for i in range(1, 65))
        tail = b"".join(
            instruction(0xBF, 3, r) + wide(4, pattern(r) ^ depth) + instruction(0x1F, 3, 4) + instruction(0x4F, 0, 3)
            for r in CALLEE_SAVED
        )
        for i in range(1, 65):
            tail += (
                instruction(0x79, 3, 10, -8 * i)
                + instruction(0x17, 3, immediate=depth * 100 + i)
                + instruction(0x4F, 0, 3)
            )
        if depth < 7:
            length = len(tail) // 8 + 1
            functions.append(body + instruction(0x85, 0, 1, 0, length) + tail + EXIT)
        else:
            functions.append(body + instruction(0xB7, 0) + tail + EXIT)
    outcome = both(b"".join(functions))
    assert (outcome.outcome, outcome.result) == ("returned", 0)


def test_a_loop_back_to_the_entry_of_a_function() -> None:
    """A jump to a function's first instruction is no second entry."""
    main = instruction(0xB7, 1, immediate=5) + instruction(0xB7, 0) + instruction(0x85, 0, 1, 0, 1) + EXIT
    callee = instruction(0x07, 0, immediate=3) + instruction(0x07, 1, immediate=-1) + instruction(0x55, 1, 0, -3) + EXIT
    # r0 is not an argument: it begins in the callee.
    callee = instruction(0xB7, 0, immediate=0) + callee
    assert inspect(main + callee).reason == Reason.NONE
    assert both(main + callee).result == 15
    entry = instruction(0x07, 2, immediate=1) + instruction(0x55, 2, 0, -2, 10) + instruction(0xBF, 0, 2) + EXIT
    assert both(entry).result == 10


def test_a_callee_writes_into_its_callers_frame() -> None:
    main = instruction(0xBF, 1, 10) + instruction(0x07, 1, immediate=-8) + instruction(0x85, 0, 1, 0, 2)
    main += instruction(0x79, 0, 10, -8) + EXIT
    assert both(main + instruction(0x7A, 1, 0, 0, 42) + EXIT).result == 42


# ---- the budget

FOREVER = {
    "jump": instruction(0xB7, 0) + instruction(0x05, offset=-1) + EXIT,
    "jump32": instruction(0xB7, 0) + instruction(0x06, immediate=-1) + EXIT,
    "condition": instruction(0xB7, 0) + instruction(0x15, 0, 0, -1) + EXIT,
    "two": instruction(0xB7, 0)
    + instruction(0x05, offset=1)
    + instruction(0x05, offset=-2)
    + instruction(0x05, offset=-2),
    "calls": instruction(0x85, 0, 1, 0, 2) + instruction(0x05, offset=-2) + EXIT + instruction(0xB7, 0) + EXIT,
    "inside": instruction(0x85, 0, 1, 0, 1) + EXIT + instruction(0x05, offset=-1),
}


@pytest.mark.parametrize("name", FOREVER)
def test_what_never_ends_runs_out_of_its_budget(name: str) -> None:
    for budget in (0, 1, 1000, 200_000):
        outcome = both(FOREVER[name], budget=budget)
        assert (outcome.outcome, outcome.reason) == ("aborted", Reason.OVER_BUDGET)
    assert (
        machine().run(FOREVER[name], Profile.MEMORY, b"", 2**31 - 1 if name == "jump" else 10**7).outcome == "aborted"
    )


def test_the_budget_is_enough_for_what_it_pays() -> None:
    """A loop of three instructions, ten times; nine of them jump back."""
    loop = (
        instruction(0xB7, 0)
        + instruction(0x07, 0, immediate=1)
        + instruction(0xBF, 3, 0)
        + instruction(0x55, 0, 0, -3, 10)
    )
    assert both(loop + EXIT, budget=27).outcome == "returned"
    assert both(loop + EXIT, budget=26).outcome == "aborted"


def test_a_longest_path_above_the_budget_is_refused() -> None:
    program = instruction(0xB7, 0) * 9 + EXIT
    assert both(program, budget=10).outcome == "returned"
    outcome = both(program, budget=9)
    assert (outcome.outcome, outcome.reason) == ("refused", Reason.COST)


# ---- confinement

SECRET = 0x5EC2E7


def surround(size: int) -> None:
    """Fill what lies below the data, and is mapped, with a secret."""
    lowest = machine().window + DATA_END - size
    ctypes.memset(lowest - 4096, 0x5E, 4096)


def is_untouched(size: int) -> bool:
    lowest = machine().window + DATA_END - size
    return ctypes.string_at(lowest - 4096, 4096) == b"\x5e" * 4096


@pytest.mark.parametrize("size", [0, 1, 7, 8, 60, 4095, 4096, 4097])
@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_memory_is_exact(width: int, size: int) -> None:
    """The byte before the first and the byte behind the last are not the program's, read or written, by constant or
    variable distance.
    """
    opcode = {4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18}[width]
    data = bytes(i % 251 for i in range(size))
    surround(size)
    for offset in {
        -4096,
        -9,
        -8,
        -7,
        -2,
        -1,
        0,
        1,
        size - 8,
        size - 4,
        size - 2,
        size - 1,
        size,
        size + 1,
        size + 4096,
    }:
        inside = offset >= 0 and offset + width <= size
        variable = wide(3, offset & M64) + instruction(0x0F, 3, 1)
        point = variable if not -0x8000 <= offset < 0x8000 else b""
        for base, distance, before in ((1, offset, point), (3, 0, variable)):
            for access in (
                instruction(0x61 | opcode, 0, base, distance),
                instruction(0x62 | opcode, base, 0, distance, -1),
                instruction(0xDB if width == 8 else 0xC3, base, 2, distance, 1) if width >= 4 else b"",
            ):
                if access:
                    outcome = both(before + instruction(0xB7, 0) + access + EXIT, data)
                    assert outcome.outcome == ("returned" if inside else "aborted"), (offset, access.hex())
                    assert inside or (outcome.reason == Reason.WILD_ACCESS and outcome.data == data)
                    assert outcome.place == (0 if inside else len(before) // 8 + 1)
    assert is_untouched(size)


WILD = [0, 1, 0xFFF, 0x1000, 0x7FFFFFFF, 0x80000000, M32, M32 - 7, 2**32, 2**47, 2**63, M64, DATA_END, DATA_END - DATA_LIMIT,
        CONTEXT + 4096, CONTEXT - 1, FRAMES - 1, FRAMES - 8, FRAME_TOP, FRAMES + FRAME_PAGE + 4096]  # fmt: skip


@pytest.mark.parametrize("address", WILD)
def test_a_wild_access_ends_the_handler(address: int) -> None:
    """Through an address that was kept in memory, so that inspection cannot know it; no machine address is reached."""
    surround(16)
    forged = instruction(0x79, 3, 1)
    for offset in (0, 32767, -32768):
        data = address.to_bytes(8, "little") + bytes(8)
        for access in (
            instruction(0x79, 0, 3, offset),
            instruction(0x7A, 3, 0, offset),
            instruction(0xDB, 3, 2, offset),
        ):
            outcome = both(forged + instruction(0xB7, 0) + access + EXIT, data)
            place = (address + offset) & M32
            if FRAMES <= place <= FRAME_TOP - 8 or (CONTEXT <= place <= CONTEXT + 4088 and access[0] == 0x79):
                continue
            assert (outcome.outcome, outcome.reason, outcome.place) == ("aborted", Reason.WILD_ACCESS, 2)
    assert is_untouched(16)


def test_the_window_itself_is_no_address() -> None:
    """Machine addresses are reached by nobody: only 32 bits of an address count."""
    for place in (machine().window, machine().window - 4096, machine().window + DATA_END - 8, id(machine())):
        outcome = both(instruction(0x79, 3, 1) + instruction(0x79, 0, 3) + EXIT, place.to_bytes(8, "little"))
        inside = place & M32 == DATA_END - 8
        assert outcome.outcome == ("returned" if inside else "aborted")


def test_a_frame_of_a_function_ends_where_the_page_does() -> None:
    """Through a variable distance a function reaches frames, its own and those that no function uses, and no more."""
    for distance in range(-FRAME_PAGE - 16, 24, 4):
        program = instruction(0xBF, 3, 10) + wide(4, distance & M64) + instruction(0x0F, 3, 4)
        outcome = both(program + instruction(0xB7, 0) + instruction(0x7B, 3, 4) + EXIT)
        inside = -FRAME_PAGE <= distance <= -8
        assert outcome.outcome == ("returned" if inside else "aborted"), distance
    assert FRAME_PAGE == 8 * FRAME_BYTES


def test_the_context_is_not_written_through_an_address_that_was_hidden() -> None:
    hidden = instruction(0x7B, 10, 1, -8) + instruction(0x79, 3, 10, -8)
    read = both(hidden + instruction(0x61, 0, 3, 4) + EXIT, bytes(60), profile=Profile.PACKET)
    assert read.result == DATA_END
    written = both(hidden + instruction(0xB7, 0) + instruction(0x62, 3) + EXIT, bytes(60), profile=Profile.PACKET)
    assert (written.outcome, written.place) == ("aborted", 3)


def test_registers_hold_nothing_of_the_kernels_at_the_entry() -> None:
    """Even r0, which a function without a result may hand on."""
    assert both(instruction(0x85, 0, 1, 0, 1) + EXIT + EXIT).result == 0


def test_frames_hold_nothing_of_the_handler_before() -> None:
    both(instruction(0x7A, 10, 0, -8, SECRET) + instruction(0xB7, 0) + EXIT)
    assert both(instruction(0x79, 0, 10, -8) + EXIT).result == 0


# ---- the packet


def test_the_packets_bounds_are_in_the_context() -> None:
    data = bytes(range(60))
    program = (
        instruction(0x61, 2, 1, 0) + instruction(0x61, 3, 1, 4) + instruction(0xBF, 0, 3) + instruction(0x1F, 0, 2)
    )
    assert both(program + EXIT, data, profile=Profile.PACKET).result == 60
    # The check that each XDP program makes: is data + 14 past data_end?
    check = instruction(0xBF, 4, 2) + instruction(0x07, 4, immediate=14) + instruction(0xB7, 0, immediate=1)
    check += instruction(0x2D, 4, 3, 1) + instruction(0x71, 0, 2, 13)
    assert both(program + check + EXIT, data, profile=Profile.PACKET).result == 13
    assert both(program + check + EXIT, data[:13], profile=Profile.PACKET).result == 1


# ---- room


def test_the_longest_program_fits() -> None:
    """The instruction with the longest code, as often as possible, in a program that loops."""
    for body in (
        instruction(0xDB, 1, 0, -1, 0x51),
        instruction(0x9F, 1, 2, 1),
        instruction(0x85, 0, 1, 0, 0),
        instruction(0x15, 2, 0, -1),
    ):
        slots = LIMIT - 4
        if body[0] == 0x85:
            calls = b"".join(instruction(0x85, 0, 1, 0, slots - i) for i in range(slots))
            program = instruction(0xB7, 0) + calls + EXIT + EXIT
        else:
            program = instruction(0xB7, 0) + body * slots + instruction(0x15, 0, 0, -2, 1) + EXIT
        code = machine().machine_code(program, Profile.MEMORY)
        assert 0 < len(code) < CODE_ROOM


def test_code_without_room_is_not_written() -> None:
    program = instruction(0xB7, 0) + EXIT
    whole = machine().machine_code(program, Profile.MEMORY)
    m = machine()
    ctypes.memset(m._code, 0xEE, CODE_ROOM)
    for room in range(1, len(whole)):
        m.load(program, Profile.MEMORY, room)
        assert m._word("translation", "length") == 0
        assert ctypes.string_at(m._code + room, 64) == b"\xee" * 64
    m.load(program, Profile.MEMORY, len(whole))
    assert m._word("translation", "length") == len(whole)


# ---- programs that nobody wrote


@pytest.mark.parametrize("block", range(8))
def test_generated_programs_do_the_same_translated_and_interpreted(block: int) -> None:
    """r0 (into which every register is folded), the memory, the reason and its place; what lies around stays."""
    accepted = ended = 0
    for seed in range(block * 250, block * 250 + 250):
        case = Generator(seed).case()
        surround(len(case.data))
        outcome = both(case.program, case.data, case.budget)
        assert is_untouched(len(case.data)), seed
        accepted += outcome.outcome != "refused"
        ended += outcome.outcome == "aborted"
    assert accepted > 150 and ended > 20
