# SPDX-License-Identifier: MIT
"""What the tests of handlers share: one machine in this process, and short ways to write programs."""

from __future__ import annotations

import functools

from exokernel.aegis.inspection import Profile
from exokernel.host.ash_generator import instruction, wide
from exokernel.host.ash_machine import DEFAULT_BUDGET, HandlerMachine, Inspected, Outcome

__all__ = ["EXIT", "both", "inspect", "instruction", "machine", "wide", "words"]

EXIT = instruction(0x95)


@functools.cache
def machine() -> HandlerMachine:
    return HandlerMachine()


def words(program: bytes) -> list[int]:
    return [int.from_bytes(program[i : i + 8], "little") for i in range(0, len(program), 8)]


def inspect(program: bytes, profile: Profile = Profile.MEMORY) -> Inspected:
    return machine().inspect(program, profile)


def both(program: bytes, data: bytes = b"", budget: int = DEFAULT_BUDGET, profile: Profile = Profile.MEMORY) -> Outcome:
    """The outcome, which is the same translated and interpreted."""
    translated = machine().run(program, profile, data, budget)
    assert translated == machine().run(program, profile, data, budget, interpret=True), program.hex()
    return translated
