# SPDX-License-Identifier: MIT
"""What can go wrong with a program, as data: a `Diagnostic` of the compiler, a `Trap` of a run.

One printer renders every diagnostic, so all errors look alike. This module must never decide what an error is.
"""

from __future__ import annotations

import linecache
from dataclasses import dataclass

TRAPS = {
    1: "index out of range",
    2: "assert",
    3: "zero divisor",
    4: "negative shift",
    5: "trap",
    6: "view too short",
    7: "lengths differ",
    8: "format buffer too small",
    9: "slice bounds",
    10: "unreachable",
}
"""Why a compiled program stopped, by the number in the trap instruction."""

TRAP_NUMBERS = {reason: number for number, reason in TRAPS.items()}


class Trap(Exception):
    """A run stopped: `reason` is one of `TRAPS`; `file` and `line` say where, when known."""

    def __init__(self, reason: str, file: str | None = None, line: int | None = None) -> None:
        super().__init__(reason if line is None else f"{reason} at {file}:{line}")
        self.reason, self.file, self.line = reason, file, line


@dataclass(frozen=True)
class Diagnostic:
    """One compile-time error. Lines count from 1, columns from 0; `end_column` is exclusive."""

    message: str
    file: str
    line: int
    column: int
    end_column: int
    label: str = ""
    hint: str = ""

    def render(self, color: bool = False) -> str:
        """The error as a person reads it: message, place, source line, caret, hint."""
        red, blue, bold, off = ("\033[31m", "\033[36m", "\033[1m", "\033[0m") if color else ("", "", "", "")
        source = linecache.getline(self.file, self.line).rstrip("\n")
        number = str(self.line)
        gutter = " " * len(number)
        lines = [
            f"{red}{bold}error{off}{bold}: {self.message}{off}",
            f"{gutter}{blue}-->{off} {self.file}:{self.line}:{self.column + 1}",
        ]
        if source:
            width = max(1, min(self.end_column, len(source)) - self.column)
            before = "".join("\t" if character == "\t" else " " for character in source[: self.column])
            caret = before + "^" * width + (f" {self.label}" if self.label else "")
            lines += [
                f"{gutter} {blue}|{off}",
                f"{blue}{number} |{off} {source}",
                f"{gutter} {blue}|{off} {red}{caret}{off}",
            ]
        if self.hint:
            lines.append(f"{gutter} {blue}={off} hint: {self.hint}")
        return "\n".join(lines)


class CompileError(Exception):
    """The program is wrong; `diagnostic` says where and why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic)
        self.diagnostic = diagnostic

    def render(self, color: bool = False) -> str:
        """See `Diagnostic.render`."""
        return self.diagnostic.render(color)

    def __str__(self) -> str:
        return self.render()
