# SPDX-License-Identifier: MIT
"""What the pass over a function works with: values, variables, places, loops. Data only; must never emit code."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from exokernel.metal.kinds import Type

STATIC, BORROWED, LOCAL = 0, 1, 2
"""What a reference may refer to: memory that lasts, an object of a caller, an object of this frame."""

Sites = frozenset[int]

FOREIGN = -1
"""The site of what this frame did not make. A local reference may be stored only where this is surely not among the sites."""


def may_be_foreign(level: int, ir: str) -> Sites:
    """FOREIGN, unless the reference is surely to an object of this frame, or null."""
    return frozenset() if level == LOCAL or ir == "null" else frozenset({FOREIGN})


@dataclass(slots=True)
class Value:
    """A value of the program. `constant` is its Python value when known at build time.

    `volatile` is of a reference to what is embedded in a volatile struct; a parameter does not keep it.
    """

    type: Type
    ir: str
    constant: Any = None
    level: int = STATIC
    sites: Sites = frozenset()
    volatile: bool = False


@dataclass(slots=True)
class Variable:
    """A local variable; `level`, `sites` and `volatile` join over all its assignments."""

    name: str
    type: Type
    slot: str
    level: int = STATIC
    sites: Sites = frozenset()
    read: bool = False
    volatile: bool = False


@dataclass(slots=True)
class Place:
    """Where a value can be stored. `bit` narrows it to bits of an integer."""

    type: Type
    pointer: str
    level: int = STATIC
    sites: Sites = frozenset()
    volatile: bool = False
    align: int = 0
    variable: Variable | None = None
    bit: Any = None
    read_only: str = ""


@dataclass(slots=True)
class Loop:
    """Where `break` and `continue` of the loop go, and what is assigned there."""

    after: str
    again: str
    node: ast.For | ast.While
    breaks: list[set[str]] = field(default_factory=list)


def join(a: set[str] | None, b: set[str] | None) -> set[str] | None:
    """What is assigned where two paths meet."""
    if a is None:
        return None if b is None else set(b)
    return set(a) if b is None else a & b


def joined(paths: list[set[str] | None]) -> set[str] | None:
    result: set[str] | None = None
    for path in paths:
        result = join(result, path)
    return result


def escape(text: str) -> str:
    """A string for LLVM's quotes."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "".join(f"\\{b:02X}" for b in c.encode()) for c in text)
