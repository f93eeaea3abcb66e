# SPDX-License-Identifier: MIT
"""What an exhibit of bench/ works with: its folder has an `exhibit.py` that offers `rows(context) -> Iterable[Figure]`.

It decides what is measured and how, and makes each figure with its `Context`, which boots machines and counts. What the
figures are held against is not its business (expectations.py), nor how they are shown (bench.py, bench_page.py).
"""

import importlib.util
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from exokernel.host import figures
from exokernel.host.build import REPOSITORY, build
from exokernel.host.figures import Figure
from exokernel.host.machine import Machine, measured
from exokernel.host.operations import Operations, columns, counted, counter
from exokernel.host.terminal import Failure, say

__all__ = ["EXHIBITS", "WALL_BOOTS", "Context", "Figure", "Printed", "Run", "discover", "load", "with_constants"]

EXHIBITS = REPOSITORY / "bench"
WALL_BOOTS = 5  # a wall-clock figure is over so many boots; one alone may be off by a factor
LINE = re.compile(r"^([a-z0-9-]+)((?: [a-z]+)*)((?: -?\d+)+)$", re.MULTILINE)


@dataclass(frozen=True)
class Printed:
    """A line of a measuring program, `row words numbers`: the samples of one row, and what was counted beside them."""

    row: str
    words: str
    values: list[int]
    regions: list[Operations]


@dataclass(frozen=True)
class Run:
    """What a measuring program printed. `frequency`: time-stamp ticks a second, where it says so."""

    printed: list[Printed]
    frequency: int = 0

    def row(self, name: str) -> Printed:
        """The line of a row without further words."""
        return next(line for line in self.printed if (line.row, line.words) == (name, ""))


@dataclass(frozen=True)
class Context:
    """What an exhibit is told: its name, runs of each row, whether wall time is wanted and with which accelerator; and how
    to measure. `operations`: whether kernel entries and so on are counted. `named`: it was asked for by name; what takes
    minutes and is no table of the paper does a tenth otherwise, so that all together end in a quarter of an hour.
    """

    exhibit: str
    runs: int = 10
    wall: bool = False
    accelerator: str = "tcg"
    operations: bool = False
    named: bool = True

    def campaign(self, whole: int) -> tuple[int, str]:
        """How much of a campaign of `whole` is to be done, and the variant that says if that is not all."""
        return (whole, "") if self.named else (whole // 10, "(a tenth)")

    def figure(self, row: str, unit: str, values: Sequence[float], system: str = "exos", variant: str = "") -> Figure:
        """One line of the output, from the values of all runs."""
        return figures.figure(self.exhibit, row, unit, values, system, variant)

    def run(self, *applications: Path, timeout: float = 60.0, wall: bool = False) -> Run:
        """Boot a measuring program and wait for its end. Instructions are exact, and the same whether operations are
        counted or not; with `wall` the clock is the host's. Raises ValueError if it failed.
        """
        count = self.operations and not wall
        with tempfile.TemporaryDirectory() if count else nullcontext("") as folder:
            out = Path(folder, "operations")
            accelerator = self.accelerator if wall else "tcg"
            options = measured(icount=not wall, accelerator=accelerator, extra=counter(out) if count else ())
            with Machine(build(list(applications)).path, options, timeout=timeout) as machine:
                machine.wait()
                console = machine.console.decode()
                if machine.status != 0 or "failed" in console:
                    raise ValueError(f"{applications[0].name} failed\n{machine.transcript()}")
            regions = counted(out) if count else []
        return _run(console, regions)

    @contextmanager
    def if_possible(self, row: str) -> Iterator[None]:
        """A row that needs what is not everywhere: where a `Failure` says so it is left out, with a line about it."""
        try:
            yield
        except Failure as reason:
            say(f"{self.exhibit}: no row `{row}`: {reason.message}")

    def operation_figures(
        self, row: str, variant: str, regions: Sequence[Operations], operations: int = 1, system: str = "exos"
    ) -> Iterator[Figure]:
        """What was counted beside a row, for each of the `operations` of a region; nothing if nothing was."""
        if regions:
            for name, values in columns(regions, operations).items():
                yield self.figure(row, "count", values, system, f"{variant}, {name}" if variant else name)

    def wall_figures(self, *applications: Path, timeout: float = 60.0) -> Iterator[tuple[Printed, list[float]]]:
        """Each line of a program with its medians, in nanoseconds of each of several boots; nothing without --wall."""
        boots = [self.run(*applications, timeout=timeout, wall=True) for _ in range(WALL_BOOTS if self.wall else 0)]
        for lines in zip(*(boot.printed for boot in boots), strict=True):
            values = [
                statistics.median(line.values) * 1e9 / boot.frequency for line, boot in zip(lines, boots, strict=True)
            ]
            yield lines[0], values


def _run(console: str, regions: list[list[Operations]]) -> Run:
    lines = [(row, words.strip(), [int(n) for n in numbers.split()]) for row, words, numbers in LINE.findall(console)]
    frequency = next((values[0] for row, _, values in lines if row == "timestamp-frequency"), 0)
    lines = [line for line in lines if line[0] != "timestamp-frequency"]
    if regions and len(regions) != len(lines):
        raise ValueError(f"{len(lines)} lines were printed for {len(regions)} rows that were marked")
    # Programs warm up: the last regions are those of the samples.
    return Run([Printed(*li, regions[i][-len(li[2]) :] if regions else []) for i, li in enumerate(lines)], frequency)


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


def with_constants(text: str, **values: int) -> str:
    """The source of an application with other values of its constants. Raises ValueError for one that it has not."""
    for name, value in values.items():
        text, count = re.subn(rf"^{name} = [\d_]+", f"{name} = {value}", text, count=1, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"no constant {name}")
    return text
