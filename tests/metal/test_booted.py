# SPDX-License-Identifier: MIT
"""The third way: one call of every program case that fits, in one application, booted, against CPython's run.

Left out are calls that trap (they would end the application), arguments that are bytes, and groups that change module
variables, whose answers depend on what ran before.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from casebook import BOOK, Case
from test_cases import Outcome, run_simulated

from exokernel.host.build import build
from exokernel.host.machine import Machine, Options

GROUPS = (
    "arrays", "bitfields", "evaluation", "functions", "integers", "logic", "loops", "matching", "pointers", "printing",
    "shifts", "structs", "text", "widening",
)  # fmt: skip
FOLDER = Path(__file__).parent
TIMEOUT = 60.0  # seconds, of the machine


def chosen() -> list[tuple[Case, Outcome]]:
    """The first call of each function that ends well and whose arguments can be written down."""
    found: dict[Any, tuple[Case, Outcome]] = {}
    for group in GROUPS:
        importlib.import_module(f"cases.{group}")
        for case in BOOK[f"cases.{group}"]:
            if case.function not in found and all(isinstance(argument, int) for argument in case.arguments):
                outcome = run_simulated(case)
                if outcome.trap is None:
                    found[case.function] = case, outcome
    return list(found.values())


def application(calls: list[tuple[Case, Outcome]]) -> str:
    """The source of an application that makes the calls and prints each result after the function's name."""
    lines = [
        "import sys",
        f"sys.path.insert(0, {str(FOLDER)!r})",
        f"from cases import {', '.join(GROUPS)}",
        "def main() -> None:",
    ]
    for number, (case, outcome) in enumerate(calls):
        group, name = case.function.__module__.rsplit(".", 1)[1], case.function.__name__
        call = f"{group}.{name}({', '.join(map(repr, case.arguments))})"
        if isinstance(outcome.value, tuple) and not is_bool(outcome.value):
            names = [f"r{number}_{i}" for i in range(len(outcome.value))]
            lines += [f"    {', '.join(names)} = {call}", f"    print({name!r}, {', '.join(names)})"]
        elif outcome.value is None:
            lines += [f"    {call}", f"    print({name!r})"]
        else:
            lines += [f"    r{number} = {call}", f"    print({name!r}, r{number})"]
    return "\n".join(lines) + "\n"


def is_bool(value: Any) -> bool:
    """Whether this is how `Outcome` marks a bool."""
    return isinstance(value, tuple) and len(value) == 2 and value[0] == "bool"


def printed(case: Case, outcome: Outcome) -> str:
    """What the application prints for one call."""
    if outcome.value is None:
        values: list[Any] = []
    else:
        values = (
            list(outcome.value) if isinstance(outcome.value, tuple) and not is_bool(outcome.value) else [outcome.value]
        )
    words = [case.function.__name__, *(str(value[1] if is_bool(value) else value) for value in values)]
    return outcome.output + " ".join(words) + "\n"


def test_booted_cases_give_the_same_answers(tmp_path: Path) -> None:
    calls = chosen()
    assert len(calls) >= 300
    source = tmp_path / "cases_application.py"
    source.write_text(application(calls))
    image = build([source], cache=tmp_path)
    with Machine(image.path, Options(), timeout=TIMEOUT) as machine:
        machine.wait()
    expected = "".join(printed(case, outcome) for case, outcome in calls)
    assert bytes(machine.console).decode() == expected
    assert machine.status == 0
