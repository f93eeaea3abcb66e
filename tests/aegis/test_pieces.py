# SPDX-License-Identifier: MIT
"""Handlers inspected and translated in pieces, as a kernel does it, are what they are when all is done at once."""

from __future__ import annotations

import ctypes
import random
from typing import Any

import pytest
from tests.aegis.handlers import EXIT, instruction, machine

from exokernel.aegis import inspection, loading, translation
from exokernel.aegis.ebpf import KERNEL_LIMIT, REGISTERS, Reason
from exokernel.aegis.handler_abi import HANDLER_WORK_FRAMES, work_frames
from exokernel.aegis.inspection import Inspection, Profile, Slot, Verdict
from exokernel.aegis.translation import Translation
from exokernel.host.ash_generator import Generator
from exokernel.metal import Ptr, Span, offsetof, sizeof, struct, u8, u32, u64
from exokernel.metal.native import compile_functions

ROOM = 1 << 19
GUARD = 256
LENGTHS = range(KERNEL_LIMIT + 1)
DIRT = 0xA5  # what is in the memory that they are given


@struct
class Answer:
    verdict: Verdict
    length: u64
    inspecting: u64  # pieces
    translating: u64
    looked: u32  # registers that were found to be named


@struct
class Given:
    """Addresses, and numbers."""

    program: u64
    slots: u64
    profile: u64
    steps: u64
    work: u64
    whole: u64
    space: u64


def in_pieces(given: Given, answer: Answer) -> None:
    program = Span[u64](Ptr[u64](given.program), given.slots)
    space = Span[u8](Ptr[u8](given.space), ROOM)
    work = Ptr[Inspection](given.work)[0]
    whole = Ptr[Translation](given.whole)[0]
    answer.inspecting = 1
    answer.translating = 1
    inspection.begin(work, answer.verdict)
    while not inspection.go_on(program, given.profile, work, answer.verdict, given.steps):
        answer.inspecting += 1
    if answer.verdict.reason != 0:
        return
    translation.begin(whole)
    while not translation.go_on(program, work, answer.verdict.loops != 0, space, whole, given.steps):
        answer.translating += 1
    answer.length = whole.length
    answer.looked = whole.named


compiled: Any = compile_functions([in_pieces])


def pieces(program: bytes, steps: int, profile: Profile) -> tuple[Answer, bytes]:
    """What comes of it, and the code. The memory is no longer than the kernel's, and dirty."""
    slots = len(program) // 8
    sizes = [
        int(offsetof(Inspection, "slots")) + slots * int(sizeof(Slot)),
        int(offsetof(Translation, "places")) + 4 * (slots + 1),
    ]
    memory = [ctypes.create_string_buffer(bytes([DIRT]) * (size + GUARD)) for size in sizes]
    copy, space = ctypes.create_string_buffer(program), ctypes.create_string_buffer(ROOM)
    at = [ctypes.addressof(buffer) for buffer in (copy, *memory, space)]
    answer = Answer()
    compiled.in_pieces(Given(at[0], slots, int(profile), steps, *at[1:]), answer)
    for buffer, size in zip(memory, sizes, strict=True):
        assert buffer.raw[size : size + GUARD] == bytes([DIRT]) * GUARD
    return answer, space.raw[: answer.length]


@pytest.mark.parametrize("profile", [Profile.MEMORY, Profile.PACKET])
def test_pieces_of_any_size_come_to_the_same(profile: Profile) -> None:
    """Generated programs, damaged ones too: the verdict, with its instruction, and the machine code."""
    noise = random.Random(1)
    accepted = 0
    for seed in range(150):
        program = bytearray(Generator(seed).case().program)
        for _ in range(seed % 3):
            program[noise.randrange(len(program))] = noise.randrange(256)
        once = machine().inspect(bytes(program), profile)
        code = machine().machine_code(bytes(program), profile)
        for steps in (1, 7, 64, 512, inspection.ALL):
            answer, made = pieces(bytes(program), steps, profile)
            verdict = answer.verdict
            assert (verdict.reason, verdict.place, made) == (once.reason, once.place, code), (seed, steps)
            assert once.reason or (verdict.cost, bool(verdict.loops)) == (once.cost, once.loops)
        accepted += once.reason == Reason.NONE
    assert accepted > 20


def test_no_piece_is_long() -> None:
    """Of programs as long as a kernel takes them, however they are made: what is done in a piece are its steps and hardly
    more, so there are as many pieces as it takes.
    """
    ordinary = instruction(0xB7) * (KERNEL_LIMIT - 1) + EXIT
    answer, _ = pieces(ordinary, 512, Profile.PACKET)
    # Four stages look at each slot once, the search three times, and the kinds are followed at VISIT steps each.
    wanted = KERNEL_LIMIT * (4 + 3 + inspection.VISIT) // 512
    assert wanted <= answer.inspecting <= wanted + inspection.Stage.DONE
    assert answer.translating >= KERNEL_LIMIT * 2 * translation.WRITE // 512
    assert answer.looked >> REGISTERS == 0


def test_the_memory_that_an_application_gives_is_enough() -> None:
    """For every length of a program: what `work_frames` says of it, and what the kernel takes."""
    needed = [
        loading._program_frames(n) + loading._inspection_frames(n) + loading._translation_frames(n) for n in LENGTHS
    ]
    assert all(taken <= work_frames(n) for taken, n in zip(needed, LENGTHS, strict=True))
    assert needed[0] == 2 and max(needed) == HANDLER_WORK_FRAMES
