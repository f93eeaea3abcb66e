# SPDX-License-Identifier: MIT
"""The notation of the program cases: which functions are run, with which arguments, and what is known of the answer.

A file of `cases/` is an ordinary module of the dialect. Behind each function stands its table: `compare` lists
arguments for which CPython's own run of the function is the expected answer; `expect` gives an answer by hand, so that
a mistake which the compiler and the simulation share cannot hide; `compare_edges` tries every combination of the
values at which integer arithmetic goes wrong. This module only takes notes. It must never run a case: the tests do.
"""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

UNKNOWN = object()
"""The expected value of a case whose answer is whatever CPython says."""

INDEX = "index out of range"
ASSERT = "assert"
ZERO_DIVISOR = "zero divisor"
NEGATIVE_SHIFT = "negative shift"
EXPLICIT = "trap"
VIEW = "view too short"
LENGTHS = "lengths differ"
FORMAT = "format buffer too small"
SLICE = "slice bounds"


@dataclass(frozen=True)
class Case:
    """One call: a function, its arguments, and what is known beforehand of the outcome."""

    function: FunctionType
    arguments: tuple[Any, ...]
    value: Any = field(default=UNKNOWN)
    trap: str | None = None
    output: str | None = None

    @property
    def name(self) -> str:
        """What a failing test shows."""
        arguments = ", ".join(repr(argument) for argument in self.arguments)
        return f"{self.function.__module__}.{self.function.__name__}({arguments})"


BOOK: dict[str, list[Case]] = {}
"""The cases noted so far, by the name of the module that holds them."""


def _note(case: Case) -> None:
    BOOK.setdefault(case.function.__module__, []).append(case)


def _as_arguments(arguments: Any) -> tuple[Any, ...]:
    return arguments if isinstance(arguments, tuple) else (arguments,)


def compare(function: Callable[..., Any], *argument_sets: Any) -> None:
    """Call with each of `argument_sets` (a tuple, or a single argument as it is); none given: call without arguments."""
    for arguments in argument_sets or ((),):
        _note(Case(_function(function), _as_arguments(arguments)))


def expect(
    function: Callable[..., Any],
    arguments: Any = (),
    value: Any = UNKNOWN,
    *,
    traps: str | None = None,
    prints: str | None = None,
) -> None:
    """Call once; the value, the reason of the trap and the printed text that are given must come out."""
    _note(Case(_function(function), _as_arguments(arguments), value, traps, prints))


def compare_edges(function: Callable[..., Any], *, limit: int = 400) -> None:
    """Call with every combination of the edge values of the parameters' types, thinned evenly to about `limit` calls."""
    values = [edge_values(parameter) for parameter in parameter_types(function)]
    combinations = list(itertools.product(*values))
    step = max(1, -(-len(combinations) // limit))
    while step > 1 and any(len(choice) % step == 0 for choice in values):
        step += 1  # a step that divides a parameter's number of values would never try some of them
    compare(function, *combinations[::step])


def parameter_types(function: Callable[..., Any]) -> list[Any]:
    """The annotated types of the parameters, in order."""
    names = list(inspect.signature(function).parameters)
    annotations = inspect.get_annotations(function, eval_str=True)
    return [annotations[name] for name in names]


def edge_values(kind: Any) -> list[int]:
    """The values at which arithmetic of the integer type `kind` (or `bool`) is likely to go wrong."""
    if kind is bool:
        return [False, True]
    signed, width = kind.__name__[0] == "i", int(kind.__name__[1:])
    top = 1 << (width - 1)
    if signed:
        return [0, 1, -1, 2, -2, 7, -7, 100, top - 1, -top, top - 2, -top + 1]
    return [0, 1, 2, 3, 7, 100, top - 1, top, top + 1, 2 * top - 2, 2 * top - 1]


def _function(function: Callable[..., Any]) -> FunctionType:
    assert isinstance(function, FunctionType), f"a case is a plain function, not {function!r}"
    return function


def functions_of(cases: Iterable[Case]) -> list[FunctionType]:
    """The distinct functions of some cases, in the order of their first case."""
    return list(dict.fromkeys(case.function for case in cases))


def module_of(name: str) -> Any:
    """The imported module of that name."""
    return sys.modules[name]
