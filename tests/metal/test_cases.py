# SPDX-License-Identifier: MIT
"""Every program case, compiled and called natively, against CPython's own run of the same function.

A group is compiled as one program before CPython runs any of it: module variables start with the value that CPython
gave them, and a simulated run changes that value.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from casebook import BOOK, UNKNOWN, Case, functions_of

from exokernel.metal import native, simulate
from exokernel.metal.errors import Trap

GROUPS = sorted(path.stem for path in (Path(__file__).parent / "cases").glob("*.py") if path.stem != "__init__")


@dataclass(frozen=True)
class Outcome:
    """What a run did: its result, the reason of its trap, what it printed."""

    value: Any
    trap: str | None
    output: str


def plain(value: Any) -> Any:
    """A result without the dialect's types, `True` and 1 kept apart."""
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    return ("bool", bool(value)) if isinstance(value, bool) else value if value is None else int(value)


def run_native(module: native.NativeModule, case: Case) -> Outcome:
    function = getattr(module, case.function.__name__)
    try:
        value = function(*case.arguments)
    except Trap as trap:
        return Outcome(None, trap.reason, text(module.output))
    return Outcome(plain(value), None, text(module.output))


def run_simulated(case: Case) -> Outcome:
    function = simulate.simulated(case.function)
    try:
        value = function(*case.arguments)
    except Trap as trap:
        return Outcome(None, trap.reason, text(function.output))
    return Outcome(plain(value), None, text(function.output))


def text(output: bytes | str) -> str:
    return output if isinstance(output, str) else bytes(output).decode()


@cache
def group(name: str) -> tuple[list[Case], native.NativeModule]:
    """The cases of a file and its compiled functions."""
    module = f"cases.{name}"
    importlib.import_module(module)
    cases = BOOK.get(module, [])
    return cases, native.compile_functions(functions_of(cases))


def differences(case: Case, compiled: Outcome, simulated: Outcome) -> list[str]:
    """What is wrong with the outcomes of one call."""
    found = []
    if compiled != simulated:
        found.append(f"{case.name}: compiled {compiled}, CPython {simulated}")
    if case.value is not UNKNOWN and compiled.value != plain(case.value):
        found.append(f"{case.name}: {compiled}, expected the value {case.value}")
    if (case.trap or case.value is not UNKNOWN) and compiled.trap != case.trap:
        found.append(f"{case.name}: {compiled}, expected the trap {case.trap}")
    if case.output is not None and compiled.output != case.output:
        found.append(f"{case.name}: {compiled}, expected the output {case.output!r}")
    return found


@pytest.mark.parametrize("name", GROUPS)
def test_compiled_and_cpython_agree(name: str) -> None:
    cases, module = group(name)
    wrong: list[str] = []
    for case in cases:
        wrong += differences(case, run_native(module, case), run_simulated(case))
    assert not wrong, f"{len(wrong)} of {len(cases)} differ:\n" + "\n".join(wrong[:40])


def test_there_are_enough_cases() -> None:
    for name in GROUPS:
        importlib.import_module(f"cases.{name}")
    cases = [case for cases in BOOK.values() for case in cases]
    literal = {case.function for case in cases if case.value is not UNKNOWN or case.trap or case.output is not None}
    assert len(functions_of(cases)) >= 300
    assert len(literal) >= 100
