# SPDX-License-Identifier: MIT
"""The inspection of handlers: what is refused, for which reason, at which instruction."""

from __future__ import annotations

import random

import pytest
from tests.aegis.handlers import EXIT, inspect, instruction, machine, wide, words

from exokernel.aegis import inspection
from exokernel.aegis.ebpf import DEPTH, LIMIT, TEXTS, USES, Atomic, Reason
from exokernel.aegis.inspection import Profile
from exokernel.host.ash_entry import Workspace
from exokernel.host.ash_generator import Generator
from exokernel.metal import Array, u64
from exokernel.metal.simulate import simulated

ZERO = instruction(0xB7)  # r0 = 0


def refused(program: bytes, reason: Reason, place: int, profile: Profile = Profile.MEMORY) -> None:
    found = inspect(program, profile)
    assert (found.reason.name, found.place) == (reason.name, place)


def accepted(program: bytes, profile: Profile = Profile.MEMORY) -> None:
    found = inspect(program, profile)
    assert found.reason == Reason.NONE, (found.text, found.place)


# ---- encodings


def test_there_are_119_opcodes() -> None:
    """Those of RFC 9669 appendix A, without the deprecated ones."""
    assert sum(bool(uses) for uses in USES) == 119


def refusal_of(opcode: int) -> Reason:
    if opcode in (0x20, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50, 0x58):
        return Reason.PACKET_GROUP
    if opcode == 0x8D:
        return Reason.CALL_BY_REGISTER
    return Reason.NOT_STANDARD if opcode in (0xE5, 0x0D) else Reason.UNKNOWN_OPCODE


@pytest.mark.parametrize("opcode", [opcode for opcode in range(256) if not USES[opcode]])
def test_an_opcode_that_does_not_exist_is_refused(opcode: int) -> None:
    refused(ZERO + instruction(opcode) + EXIT, refusal_of(opcode), 1)


ALU = [
    f | o | s
    for f in (4, 7)
    for o in (0, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xA0, 0xB0, 0xC0)
    for s in (0, 8)
]
CONDITIONAL = [
    f | o | s
    for f in (5, 6)
    for o in (0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xA0, 0xB0, 0xC0, 0xD0)
    for s in (0, 8)
]
UNARY = [0x84, 0x87, 0xD4, 0xDC, 0xD7]
LOADS = [0x61, 0x69, 0x71, 0x79, 0x81, 0x89, 0x91]
STORES = [0x62, 0x6A, 0x72, 0x7A, 0x63, 0x6B, 0x73, 0x7B, 0xC3, 0xDB]


def valid(opcode: int) -> bytes:
    """An instruction with this opcode that is well formed."""
    return instruction(opcode, 0, 0, 0, 16 if opcode in (0xD4, 0xDC, 0xD7) else 0)


@pytest.mark.parametrize("opcode", [*ALU, *UNARY, *LOADS, 0x18, 0x05, 0x06, 0x95, 0x85, *CONDITIONAL, *STORES])
def test_register_numbers_end_at_ten(opcode: int) -> None:
    for field in (11, 15):
        for fields in (field, field << 4):
            program = bytearray(valid(opcode))
            program[1] = fields
            refused(ZERO + bytes(program) + (bytes(8) if opcode == 0x18 else b"") + EXIT, Reason.REGISTER, 1)


@pytest.mark.parametrize("opcode", [*ALU, *UNARY, *LOADS, 0x18])
def test_the_frame_pointer_cannot_be_written(opcode: int) -> None:
    program = bytearray(valid(opcode))
    program[1] |= 10
    refused(bytes(program) + (bytes(8) if opcode == 0x18 else b"") + EXIT, Reason.FRAME_POINTER_WRITTEN, 0)


@pytest.mark.parametrize("operation", [*(o | 1 for o in (0, 0x40, 0x50, 0xA0)), 0xE1])
def test_the_frame_pointer_cannot_be_fetched_into(operation: int) -> None:
    for opcode in (0xC3, 0xDB):
        refused(instruction(opcode, 10, 10, -8, operation) + EXIT, Reason.FRAME_POINTER_WRITTEN, 0)
    accepted(ZERO + instruction(0xDB, 10, 10, -8, operation & 0xF0 if operation != 0xE1 else 0xF1) + EXIT)


IMMEDIATE_ALU = [o for o in ALU if not o & 8]
REGISTER_ALU = [o for o in ALU if o & 8]


@pytest.mark.parametrize("opcode", [*IMMEDIATE_ALU, *UNARY, 0x05, 0x06, 0x95, *(o for o in CONDITIONAL if not o & 8)])
def test_an_unused_source_is_zero(opcode: int) -> None:
    program = bytearray(valid(opcode))
    program[1] = 1 << 4
    refused(ZERO + bytes(program) + EXIT, Reason.UNUSED_REGISTER, 1)


@pytest.mark.parametrize("opcode", [0x05, 0x06, 0x95, 0x85])
def test_an_unused_destination_is_zero(opcode: int) -> None:
    refused(ZERO + instruction(opcode, 1) + EXIT, Reason.UNUSED_REGISTER, 1)


DIVISIONS = [o for o in ALU if o & 0xF0 in (0x30, 0x90)]
MOVES = [0xBC, 0xBF]


@pytest.mark.parametrize("opcode", [*(o for o in ALU if o not in DIVISIONS + MOVES), *UNARY, 0x18, 0x06, 0x85, 0x95])
def test_an_unused_offset_is_zero(opcode: int) -> None:
    program = bytearray(valid(opcode))
    for offset in (1, -1, 8):
        program[2:4] = (offset & 0xFFFF).to_bytes(2, "little")
        refused(ZERO + bytes(program) + (bytes(8) if opcode == 0x18 else b"") + EXIT, Reason.UNUSED_OFFSET, 1)


@pytest.mark.parametrize("opcode", [*REGISTER_ALU, 0x84, 0x87, *LOADS, 0x63, 0x6B, 0x73, 0x7B, 0x05, 0x95,
                                    *(o for o in CONDITIONAL if o & 8)])  # fmt: skip
def test_an_unused_immediate_is_zero(opcode: int) -> None:
    for immediate in (1, -1, 1 << 31):
        refused(ZERO + instruction(opcode, 0, 0, 0, immediate) + EXIT, Reason.UNUSED_IMMEDIATE, 1)


def test_fields_with_few_values() -> None:
    for opcode in DIVISIONS:
        for offset in range(-3, 40):
            if offset in (0, 1):
                accepted(ZERO + instruction(opcode, 0, 0, offset) + EXIT)
            else:
                refused(ZERO + instruction(opcode, 0, 0, offset) + EXIT, Reason.SIGNED_OFFSET, 1)
    for opcode, allowed in ((0xBF, (0, 8, 16, 32)), (0xBC, (0, 8, 16))):
        for offset in range(-3, 70):
            if offset in allowed:
                accepted(ZERO + instruction(opcode, 0, 0, offset) + EXIT)
            else:
                refused(ZERO + instruction(opcode, 0, 0, offset) + EXIT, Reason.EXTENSION, 1)
    for opcode in (0xD4, 0xDC, 0xD7):
        for width in range(-3, 70):
            if width in (16, 32, 64):
                accepted(ZERO + instruction(opcode, 0, 0, 0, width) + EXIT)
            else:
                refused(ZERO + instruction(opcode, 0, 0, 0, width) + EXIT, Reason.SWAP_WIDTH, 1)


def test_atomic_operations() -> None:
    known = {a | f for a in (Atomic.ADD, Atomic.OR, Atomic.AND, Atomic.XOR) for f in (0, 1)} | {0xE1, 0xF1}
    for opcode in (0xC3, 0xDB):
        for operation in [*range(0x120), 1 << 31, -1]:
            program = ZERO + instruction(opcode, 10, 0, -8, operation) + EXIT
            if operation in known:
                accepted(program)
            elif operation in (0x100, 0x110):
                refused(program, Reason.ACQUIRE_RELEASE, 1)
            else:
                refused(program, Reason.ATOMIC_OPERATION, 1)


def test_wide_loads() -> None:
    accepted(wide(0, 2**64 - 1) + EXIT)
    refused(ZERO + wide(0, 1)[:8], Reason.WIDE_HALF, 1)
    for first in (1, 0x100, 0x10000, 1 << 31):
        refused(wide(0, 1)[:8] + first.to_bytes(8, "little") + EXIT, Reason.WIDE_HALF, 0)
    for source in range(1, 7):
        refused(instruction(0x18, 0, source) + bytes(8) + EXIT, Reason.WIDE_RELOCATION, 0)


def test_calls_of_other_kinds() -> None:
    refused(ZERO + instruction(0x85, 0, 0, 0, 1) + EXIT, Reason.HELPER, 1)
    for kind in range(2, 11):
        refused(ZERO + instruction(0x85, 0, kind, 0, 0) + EXIT, Reason.CALL_KIND, 1)


# ---- control


def test_length() -> None:
    refused(b"", Reason.EMPTY, 0)
    refused(EXIT[:7], Reason.EMPTY, 0)
    accepted(ZERO * (LIMIT - 1) + EXIT)
    refused(ZERO * LIMIT + EXIT, Reason.TOO_LONG, LIMIT)


def test_targets() -> None:
    for opcode in [0x05, *CONDITIONAL]:
        for distance in (-3, 2, 32767, -32768):
            refused(ZERO + instruction(opcode, 0, 0, distance) + EXIT, Reason.JUMP_OUTSIDE, 1)
        refused(ZERO + instruction(opcode, 0, 0, 1) + wide(0, 1) + EXIT, Reason.JUMP_INTO_WIDE, 1)
        accepted(ZERO + instruction(opcode, 0, 0, 0) + EXIT)
    for opcode, source in ((0x06, 0), (0x85, 1)):
        for distance in (-3, 2, 2**31 - 1, -(2**31)):
            refused(ZERO + instruction(opcode, 0, source, 0, distance) + EXIT, Reason.JUMP_OUTSIDE, 1)
        refused(ZERO + instruction(opcode, 0, source, 0, 1) + wide(0, 1) + EXIT, Reason.JUMP_INTO_WIDE, 1)


def test_functions() -> None:
    call = instruction(0x85, 0, 1, 0, 1)
    accepted(call + EXIT + ZERO + EXIT)
    refused(call + EXIT + instruction(0x05, offset=-2) + EXIT, Reason.JUMP_ACROSS, 2)
    refused(instruction(0x05, offset=2) + call + EXIT + EXIT, Reason.JUMP_ACROSS, 0)
    refused(ZERO, Reason.FALLS_THROUGH, 0)
    refused(EXIT + wide(0, 1), Reason.FALLS_THROUGH, 1)
    refused(ZERO + instruction(0x15, 0, 0, -2), Reason.FALLS_THROUGH, 1)
    refused(call + ZERO + ZERO + EXIT, Reason.FALLS_THROUGH, 1)
    refused(call + EXIT + EXIT[:0] + instruction(0x85, 0, 1, 0, -1) + EXIT, Reason.RECURSION, 2)
    refused(instruction(0x85, 0, 1, 0, -1) + EXIT, Reason.RECURSION, 0)


def test_functions_that_call_each_other_in_a_circle() -> None:
    main = instruction(0x85, 0, 1, 0, 1) + EXIT
    first = instruction(0x85, 0, 1, 0, 1) + EXIT  # at 2
    second = instruction(0x85, 0, 1, 0, -3) + EXIT  # at 4
    refused(main + first + second, Reason.RECURSION, 4)


def chain(functions: int) -> bytes:
    """Functions that call each the next."""
    return (instruction(0x85, 0, 1, 0, 1) + EXIT) * (functions - 1) + ZERO + EXIT


def test_depth_of_calls() -> None:
    accepted(chain(DEPTH))
    assert inspect(chain(DEPTH + 1)).reason == Reason.CALL_DEPTH
    # Also where the deep call lies behind a loop that was searched first.
    loop = instruction(0x05, offset=0) + ZERO + instruction(0x15, 0, 0, -2, 1)
    assert inspect(loop + chain(DEPTH + 1)).reason == Reason.CALL_DEPTH


def test_the_longest_path() -> None:
    assert inspect(ZERO + EXIT).cost == 2
    assert inspect(wide(0, 1) + EXIT).cost == 2
    assert inspect(chain(3)).cost == 2 + 2 + 2
    branch = ZERO + instruction(0x15, 0, 0, 3) + ZERO * 3 + EXIT
    assert inspect(branch).cost == 6
    # A backward jump that makes no loop is no loop.
    shared = ZERO + instruction(0x05, offset=1) + EXIT + ZERO + instruction(0x05, offset=-3)
    found = inspect(shared)
    assert (found.reason, found.loops, found.cost) == (Reason.NONE, False, 5)
    assert inspect(ZERO + instruction(0x15, 0, 0, -2) + EXIT).loops


def test_a_cost_that_doubles_with_each_call_saturates() -> None:
    program = b""
    for _ in range(DEPTH - 1):
        program += b"".join(instruction(0x85, 0, 1, 0, 400 - i) for i in range(400)) + EXIT
    found = inspect(program + ZERO + EXIT)
    assert found.reason == Reason.NONE and found.cost > 0x40000000


# ---- kinds


def test_reading_what_was_not_written() -> None:
    for register in (3, 4, 5, 6, 7, 8, 9):
        refused(instruction(0xBF, 0, register) + EXIT, Reason.UNINITIALISED, 0)
        refused(ZERO + instruction(0x0F, register, 0) + EXIT, Reason.UNINITIALISED, 1)
        refused(ZERO + instruction(0x2D, 0, register, 0) + EXIT, Reason.UNINITIALISED, 1)
        refused(ZERO + instruction(0x7B, 10, register, -8) + EXIT, Reason.UNINITIALISED, 1)
    refused(EXIT, Reason.NO_RESULT, 0)
    refused(instruction(0xBF, 0, 2) + EXIT, Reason.UNINITIALISED, 0, Profile.PACKET)
    refused(instruction(0xDB, 10, 1, -8, 0xF1) + EXIT, Reason.UNINITIALISED, 0)


def test_a_register_that_only_one_path_writes() -> None:
    refused(instruction(0x15, 2, 0, 1) + ZERO + EXIT, Reason.NO_RESULT, 2)
    accepted(instruction(0x15, 2, 0, 2) + ZERO + EXIT + ZERO + EXIT)
    # The second turn of a loop finds r3 unwritten on the path that skipped it.
    loop = instruction(0x15, 2, 0, 1) + instruction(0xB7, 3) + instruction(0xBF, 0, 3) + EXIT
    refused(loop, Reason.UNINITIALISED, 2)


def test_calls_end_the_arguments_and_keep_the_rest() -> None:
    callee = ZERO + EXIT
    for register in range(1, 6):
        program = instruction(0xB7, register) + instruction(0x85, 0, 1, 0, 2) + instruction(0xBF, 0, register) + EXIT
        refused(program + callee, Reason.UNINITIALISED, 2)
    for register in range(6, 10):
        program = instruction(0xB7, register) + instruction(0x85, 0, 1, 0, 2) + instruction(0xBF, 0, register) + EXIT
        accepted(program + callee)
        refused(program + instruction(0xBF, 0, register) + EXIT, Reason.UNINITIALISED, 4)
    # A function without a result may be called.
    accepted(instruction(0x85, 0, 1, 0, 2) + ZERO + EXIT + EXIT)


def test_numbers_are_no_addresses() -> None:
    for number in (instruction(0xB7, 3, immediate=4096), wide(3, 1 << 40), instruction(0xBF, 3, 2)):
        place = len(number) // 8
        refused(number + instruction(0x79, 0, 3) + EXIT, Reason.NUMBER_AS_ADDRESS, place)
        refused(number + instruction(0x7A, 3) + ZERO + EXIT, Reason.NUMBER_AS_ADDRESS, place)
        refused(ZERO + number + instruction(0xDB, 3, 0) + EXIT, Reason.NUMBER_AS_ADDRESS, place + 1)
    accepted(instruction(0x79, 3, 1) + instruction(0x79, 0, 3) + EXIT)  # loaded: perhaps an address


def test_the_frame_has_512_bytes() -> None:
    for size, opcode in ((8, 0x7A), (4, 0x62), (2, 0x6A), (1, 0x72)):
        accepted(instruction(opcode, 10, 0, -size) + instruction(opcode, 10, 0, -512) + ZERO + EXIT)
        for offset in (0, 1 - size if size > 1 else 0, -513, 32767, -32768):
            refused(ZERO + instruction(opcode, 10, 0, offset) + EXIT, Reason.FRAME_RANGE, 1)
    moved = instruction(0xBF, 3, 10) + instruction(0x07, 3, 0, 0, -16)
    accepted(moved + instruction(0x79, 0, 3, 8) + EXIT)
    refused(moved + instruction(0x79, 0, 3, 16) + EXIT, Reason.FRAME_RANGE, 2)


def test_the_context() -> None:
    for offset in range(0, 24, 4):
        accepted(instruction(0x61, 0, 1, offset) + EXIT, Profile.PACKET)
    for opcode, offset in ((0x61, 24), (0x61, -4), (0x61, 2), (0x69, 0), (0x79, 0), (0x71, 0), (0x81, 0)):
        refused(instruction(opcode, 0, 1, offset) + EXIT, Reason.CONTEXT_READ, 0, Profile.PACKET)
    for opcode in STORES:
        refused(ZERO + instruction(opcode, 1) + EXIT, Reason.CONTEXT_WRITE, 1, Profile.PACKET)
    variable = instruction(0x61, 3, 1) + instruction(0xB7, 4) + instruction(0x0F, 1, 4) + instruction(0x61, 0, 1) + EXIT
    refused(variable, Reason.CONTEXT_READ, 3, Profile.PACKET)


def backward_chain(links: int) -> bytes:
    """Blocks that each jump to the one before them: inspection needs a round for each."""
    program = ZERO + instruction(0x05, offset=2 * links - 2)
    for link in range(links):
        program += instruction(0x15, 2, 0, -3 if link else 0) + EXIT
    return program


def test_a_program_made_to_keep_the_inspector_busy_is_refused() -> None:
    accepted(backward_chain(inspection.ROUNDS - 2))
    assert inspect(backward_chain(inspection.ROUNDS + 2)).reason == Reason.TANGLED


def test_nested_loops_are_inspected() -> None:
    """Twenty loops in one another that move an address from one register to the next: the kinds settle in few rounds."""
    program = ZERO + instruction(0xBF, 3, 1)
    for i in range(3, 9):
        program += instruction(0xBF, i + 1, i)
    program += instruction(0xBF, 3, 10)
    for depth in range(20):
        program += instruction(0x15, 2, 0, -2 - depth, depth)
    accepted(program + EXIT)


def test_every_reason_has_a_text() -> None:
    assert set(TEXTS) == set(Reason) and all(text == text.strip() and text for text in TEXTS.values())


# ---- the same in CPython


def test_by_python_the_verdicts_are_the_same() -> None:
    """The source that the kernel has, executed by CPython, against what LLVM makes of it; damaged programs too."""
    inspect_slowly = simulated(inspection.inspect)
    noise = random.Random(1)
    work = Workspace()
    for seed in range(12):
        program = bytearray(Generator(seed).case().program[:400])
        for _ in range(seed % 3):
            program[noise.randrange(len(program))] = noise.randrange(256)
        fast = machine().inspect(bytes(program), Profile.MEMORY)
        values = words(bytes(program))
        inspect_slowly(Array[u64, len(values)](values)[:], u64(0), work.inspection, work.verdict)
        verdict = work.verdict
        assert (verdict.reason, verdict.place) == (fast.reason, fast.place)
        assert fast.reason or (verdict.cost, bool(verdict.loops)) == (fast.cost, fast.loops)
