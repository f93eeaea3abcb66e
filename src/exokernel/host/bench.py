# SPDX-License-Identifier: MIT
"""`exo bench`: finds the exhibits in bench/, runs them, prints and writes their figures.

An exhibit is a folder of bench/ with an `exhibit.py` that offers `rows(context) -> Iterable[dict]`: one `figure` each.
It decides what is measured and how; this module only counts, shows and stores. A figure is min, quartiles and max of n
runs.
"""

import argparse
import importlib.util
import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from exokernel.host import linux
from exokernel.host.build import REPOSITORY
from exokernel.host.linux import Linux
from exokernel.host.terminal import Failure, progress, say

EXHIBITS = REPOSITORY / "bench"
UNITS = ("instructions", "ns", "ratio", "per-second", "bytes", "count")
KEYS = ("exhibit", "row", "system", "variant", "unit", "min", "q1", "median", "q3", "max", "n")

Figure = dict[str, str | float | int]


@dataclass(frozen=True)
class Context:
    """What an exhibit is told: its name, runs of each row, the peer to measure, whether wall time is wanted.

    `linux` is the peer itself; its rows are added to those of the exhibit (host/linux.py).
    """

    exhibit: str
    runs: int = 10
    peer: str = "none"
    wall: bool = False
    linux: Linux | None = None

    def figure(self, row: str, unit: str, values: Sequence[float], system: str = "exos", variant: str = "") -> Figure:
        """One line of the output, from the values of all runs."""
        return {"exhibit": self.exhibit, "row": row, "system": system, "variant": variant, "unit": unit} | summary(
            values
        )


def summary(values: Sequence[float]) -> dict[str, float | int]:
    """Minimum, quartiles (of the values themselves, linearly between neighbours), maximum and number."""
    if not values:
        raise ValueError("a figure needs at least one value")
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    found = {"min": min(values), "q1": low, "median": middle, "q3": high, "max": max(values)}
    return {k: int(v) if float(v).is_integer() else round(v, 6) for k, v in found.items()} | {"n": len(values)}


def discover(folder: Path = EXHIBITS) -> dict[str, Path]:
    """The exhibits by name."""
    return {path.parent.name: path for path in sorted(folder.glob("*/exhibit.py"))}


def load(name: str, path: Path) -> ModuleType:
    """An exhibit's module."""
    specification = importlib.util.spec_from_file_location(f"exhibit_{name}", path)
    if specification is None or specification.loader is None:
        raise Failure(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def bench(parsed: argparse.Namespace) -> int:
    """Run the chosen exhibits."""
    for option in ("html", "check"):
        if getattr(parsed, option):
            raise Failure(f"--{option} does not exist yet")
    known = discover()
    if parsed.list:
        for name, path in known.items():
            print(f"{name:12} {_purpose(path)}")
        return 0
    unknown = [name for name in parsed.exhibits if name not in known]
    if unknown:
        raise Failure(f"there is no exhibit {unknown[0]}", f"there are: {', '.join(known)}")
    chosen = {name: known[name] for name in parsed.exhibits or known}
    beside = peer(parsed, chosen)
    figures: list[Figure] = []
    for name in chosen:
        context = Context(name, parsed.runs, "linux" if beside else "none", parsed.wall, beside)
        with progress(f"Measuring {name} ..."):
            found = [_checked(figure) for figure in load(name, known[name]).rows(context)]
            found += [_checked(figure) for figure in linux.rows(name, known[name].parent, context)]
        figures += found
        show(name, found)
    if parsed.json:
        write(parsed.json, figures)
    return 0


def peer(parsed: argparse.Namespace, exhibits: dict[str, Path]) -> Linux | None:
    """What is measured beside us; Linux when nothing was said and it can be had."""
    if parsed.peer == "none":
        return None
    try:
        return Linux(*linux.find(parsed.linux_kernel, parsed.linux_modules), linux.programs_of(exhibits))
    except Failure as failure:
        if parsed.peer == "linux" or parsed.linux_kernel:
            raise
        say(f"without Linux beside: {failure.message}")
        return None


def write(path: Path, figures: Iterable[Figure]) -> None:
    """JSON lines, one figure each."""
    text = "".join(json.dumps(figure) + "\n" for figure in figures)
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        path.write_text(text)
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from None


def show(name: str, figures: Iterable[Figure]) -> None:
    """The table of one exhibit, for a person."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=name, box=None, title_justify="left", header_style="bold", pad_edge=False)
    for title in ("row", "system", "variant", "unit"):
        table.add_column(title)
    for title in ("min", "q1", "median", "q3", "max", "n"):
        table.add_column(title, justify="right")
    for figure in figures:
        table.add_row(*(_cell(figure, key) for key in KEYS[1:]))
    Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 160).print(table)
    say("")


def _cell(figure: Figure, key: str) -> str:
    value = figure[key]
    if isinstance(value, str) or key == "n":
        return str(value)
    if figure["unit"] == "ns":
        return f"{value / 1e6:,.3f} ms" if value >= 1e5 else f"{value:,.0f} ns"
    return f"{value:,.3f}" if figure["unit"] == "ratio" else f"{value:,.0f}"


def _checked(figure: dict[str, Any]) -> Figure:
    """A figure as the contract wants it."""
    if tuple(figure) != KEYS or figure["unit"] not in UNITS:
        raise ValueError(f"not a figure: {figure}")
    return figure


def _purpose(path: Path) -> str:
    """The first sentence of an exhibit's description, read without running it."""
    import ast

    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
