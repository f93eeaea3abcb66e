# SPDX-License-Identifier: MIT
"""A figure: min, quartiles and max of the n runs of one row, as a JSON object on a line of its own.

Its keys are a contract with whoever reads the files. Beside NAME.jsonl lies NAME.machine.json: what it was measured on.
"""

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from exokernel.host.terminal import Failure

UNITS = ("instructions", "ns", "ratio", "per-second", "bytes", "count")
KEYS = ("exhibit", "row", "system", "variant", "unit", "min", "q1", "median", "q3", "max", "n")
NUMBERS = KEYS[5:]

Figure = dict[str, str | float | int]


class Key(NamedTuple):
    """What distinguishes figures of one run."""

    exhibit: str
    row: str
    system: str
    variant: str
    unit: str


def key_of(figure: Figure) -> Key:
    """A figure's key."""
    return Key(*(str(figure[name]) for name in Key._fields))


def number(figure: Figure, name: str) -> float:
    """One of a figure's numbers."""
    value = figure[name]
    assert not isinstance(value, str)
    return value


def figure(
    exhibit: str, row: str, unit: str, values: Sequence[float], system: str = "exos", variant: str = ""
) -> Figure:
    """One figure, from the values of all runs."""
    return {"exhibit": exhibit, "row": row, "system": system, "variant": variant, "unit": unit} | summary(values)


def summary(values: Sequence[float]) -> dict[str, float | int]:
    """Minimum, quartiles (of the values themselves, linearly between neighbours), maximum and number."""
    if not values:
        raise ValueError("a figure needs at least one value")
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    found = {"min": min(values), "q1": low, "median": middle, "q3": high, "max": max(values)}
    return {k: int(v) if float(v).is_integer() else round(v, 6) for k, v in found.items()} | {"n": len(values)}


def checked(found: dict[str, Any]) -> Figure:
    """A figure as the contract wants it. Raises ValueError."""
    if not isinstance(found, dict) or tuple(found) != KEYS or found["unit"] not in UNITS:
        raise ValueError(f"not a figure: {found}")
    if not all(isinstance(found[name], int | float) for name in NUMBERS):
        raise ValueError(f"not a figure, its numbers are none: {found}")
    return found


def write(path: Path, figures: Iterable[Figure], machine: dict[str, str] | None = None) -> None:
    """JSON lines, one figure each; `-` is standard output. Facts about the machine go beside it. Raises `Failure`."""
    text = "".join(json.dumps(figure) + "\n" for figure in figures)
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        path.write_text(text)
        if machine is not None:
            beside(path).write_text(json.dumps(machine, indent=2) + "\n")
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from None


def read(path: Path) -> list[Figure]:
    """The figures of a file. Raises `Failure` for one that has something else in it."""
    found = []
    try:
        for place, line in enumerate(path.read_text().splitlines(), 1):
            try:
                found.append(checked(json.loads(line)))
            except ValueError as error:
                raise Failure(f"{path}, line {place}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"cannot read {path}: {error}") from None
    return found


def read_machine(path: Path) -> dict[str, str]:
    """What the figures of `path` were measured on, as far as it was kept."""
    try:
        found = json.loads(beside(path).read_text())
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def beside(path: Path) -> Path:
    """The file with the facts about the machine."""
    return path.with_suffix(".machine.json")
