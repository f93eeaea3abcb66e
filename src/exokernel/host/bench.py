# SPDX-License-Identifier: MIT
"""`exo bench`: finds the exhibits in bench/, runs them, shows their figures, keeps them, and holds them against others.

An exhibit is a folder of bench/ with an `exhibit.py` that offers `rows(context) -> Iterable[dict]`: one `figure` each.
It decides what is measured and how; what it is held against lies beside it as data (expectations.py). This module only
counts, shows and stores. It must never change or choose among what was measured.
"""

import argparse
import importlib.util
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from exokernel.host import expectations, figures, linux
from exokernel.host.build import REPOSITORY, build
from exokernel.host.expectations import COSTS, Verdict, counterpart, grown, judged
from exokernel.host.figures import KEYS, NUMBERS, UNITS, Figure, checked, key_of, number, summary
from exokernel.host.linux import Linux
from exokernel.host.machine import Machine, measured
from exokernel.host.operations import NAMES, Operations, check_counter, columns, counted, counter
from exokernel.host.terminal import GREEN, RED, YELLOW, Failure, paint, progress, say, warn

__all__ = ["KEYS", "UNITS", "Context", "Figure", "Run", "discover", "load", "summary"]

EXHIBITS = REPOSITORY / "bench"
BASELINE = EXHIBITS / "baseline.jsonl"
SHOWN = 20  # lines of an error
WALL_BOOTS = 5  # a wall-clock figure is over so many boots; one alone may be off by a factor
WALL_RATIO = "wall time to linux"  # a variant
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
    to measure. `linux` is the peer, if one is measured; its rows are added to those of the exhibit (host/linux.py).
    `operations`: whether kernel entries and so on are counted. `named`: it was asked for by name; what takes minutes and is
    no table of the paper does a tenth otherwise, so that all together end in a quarter of an hour.
    """

    exhibit: str
    runs: int = 10
    wall: bool = False
    linux: Linux | None = None
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


@dataclass
class Results:
    """Everything known of one or more exhibits: what was measured and reported, and the aims."""

    figures: list[Figure] = field(default_factory=list)
    machine: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # exhibits, and why
    verdicts: list[Verdict] = field(default_factory=list)


def bench(parsed: argparse.Namespace) -> int:
    """Run the chosen exhibits, or read what an earlier run has kept."""
    known = discover()
    if parsed.list:
        for name, path in known.items():
            print(f"{name:12} {_purpose(path)}")
        return 0
    unknown = [name for name in parsed.exhibits if name not in known]
    if unknown:
        raise Failure(f"there is no exhibit {unknown[0]}", f"there are: {', '.join(known)}")
    chosen = parsed.exhibits or list(known)
    baseline = figures.read(BASELINE) if parsed.check else []
    results = Results()
    if parsed.source:
        _keep(results, parsed, chosen)
    else:
        try:
            _measure(results, parsed, chosen, known)
        except BaseException:
            if parsed.json and results.figures:  # what was measured until now took its time
                figures.write(parsed.json, results.figures, results.machine)
            raise
    aims = [aim for name in chosen for aim in expectations.thresholds(name, known[name].parent)]
    results.verdicts = judged(aims, results.figures)
    if parsed.json:
        figures.write(parsed.json, results.figures, results.machine)
    if parsed.record:
        record(results.figures)
    if parsed.html:
        from exokernel.host.bench_page import page

        try:
            parsed.html.write_text(page(results))
        except OSError as error:
            raise Failure(f"cannot write {parsed.html}: {error.strerror}") from None
        say(f"{paint('written', GREEN)}: {parsed.html}")
    for name, reason in results.failed.items():
        say(f"{paint('error', RED)}: without {name}, which failed: {reason}")
    return max(check(results, baseline) if parsed.check else 0, int(bool(results.failed)))


def _keep(results: Results, parsed: argparse.Namespace, chosen: Sequence[str]) -> None:
    """An earlier run's figures."""
    results.figures = [f for f in figures.read(parsed.source) if f["exhibit"] in chosen]
    results.machine = figures.read_machine(parsed.source)
    if not parsed.html and not parsed.json and not parsed.check:
        for name in dict.fromkeys(str(f["exhibit"]) for f in results.figures):
            show(name, [f for f in results.figures if f["exhibit"] == name])


def _measure(results: Results, parsed: argparse.Namespace, chosen: Sequence[str], known: dict[str, Path]) -> None:
    """This run's figures."""
    from exokernel.host.kvm import choose_accelerator
    from exokernel.host.surroundings import surroundings

    accelerator = choose_accelerator(parsed.accel) if parsed.wall else "tcg"
    results.machine = surroundings(accelerator)
    operations = _can_count()
    beside = peer(parsed, {name: known[name] for name in chosen})
    if beside:
        beside.counts = operations
        results.machine["peer"] = f"Linux {linux.version(beside.image)}"
    for place, name in enumerate(chosen, 1):
        context = Context(name, parsed.runs, parsed.wall, beside, accelerator, operations, named=bool(parsed.exhibits))
        started = time.monotonic()
        try:
            with progress(f"Measuring {name} ({place} of {len(chosen)}) ..."):
                found = [checked(figure) for figure in _rows(context, known[name])]
        except Exception as error:  # the others' figures are not lost for it
            if os.environ.get("EXO_TRACEBACK"):
                raise
            results.failed[name] = str(error).split("\n")[0]
            results.machine["failed"] = ", ".join(results.failed)
            said = str(error).split("\n")
            left = f"\n... and {len(said) - SHOWN} lines; EXO_TRACEBACK=1 shows them" if len(said) > SHOWN else ""
            say(f"{paint('error', RED)}: {name} failed: " + "\n".join(said[:SHOWN]) + left)
            continue
        show(f"{name} ({place} of {len(chosen)}, {time.monotonic() - started:.0f} s)", found)
        results.figures += found


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


def _rows(context: Context, path: Path) -> Iterator[Figure]:
    """The figures of an exhibit: ours, the peer's, and what others report."""
    yield from (found := list(load(context.exhibit, path).rows(context)))
    theirs = list(linux.rows(context.exhibit, path.parent, context))
    yield from theirs
    yield from wall_ratios(context, [*found, *theirs])
    yield from expectations.reported(context.exhibit, expectations.reports(path.parent))


def wall_ratios(context: Context, found: Sequence[Figure]) -> Iterator[Figure]:
    """Wall time of ours over the peer's best of the same run, for rows that both have. The peer is always emulated."""
    if context.accelerator != "tcg":
        return
    for ours in found:
        theirs = counterpart(ours, found, "linux")
        if ours["system"] == "exos" and ours["unit"] == "ns" and theirs is not None:
            ratio = number(ours, "median") / number(theirs, "median")
            variant = ", ".join(filter(None, (str(ours["variant"]), WALL_RATIO)))
            yield context.figure(str(ours["row"]), "ratio", [ratio], variant=variant)


def _can_count() -> bool:
    """Whether kernel entries and so on can be counted here; says so once if not."""
    try:
        check_counter()
    except Failure as failure:
        warn(f"kernel entries, address-space switches and TLB flushes are not counted: {failure.message}")
        return False
    return True


def record(found: Iterable[Figure]) -> None:
    """Put the exhibits that were measured into the baseline; others stay as they are there."""
    ours = expectations.comparable(found)
    renewed = {f["exhibit"] for f in ours}
    kept = figures.read(BASELINE) if BASELINE.exists() else []
    kept = [f for f in expectations.comparable(kept) if f["exhibit"] not in renewed]
    figures.write(BASELINE, sorted([*kept, *ours], key=lambda f: str(f["exhibit"])))
    say(f"{paint('recorded', GREEN)}: {len(ours)} rows in {BASELINE.relative_to(REPOSITORY)}")


def check(results: Results, baseline: Sequence[Figure]) -> int:
    """Say what grew and which aims do not hold; 1 if something did, or does not and is not known to."""
    changes = grown(results.figures, baseline)
    exhibits = {key_of(f).exhibit for f in expectations.comparable(results.figures)}
    compared = sum(key_of(f).exhibit in exhibits for f in expectations.comparable(baseline))
    say(f"{compared} rows compared with {BASELINE.relative_to(REPOSITORY)}: {len(changes)} grew by more than 2 %")
    for change in changes:
        say(f"  {paint('grew', RED)}: {change}")
    if changes:
        names = " ".join(dict.fromkeys(change.key.exhibit for change in changes))
        say(f"  if that is wanted: ./exo bench {names} --record")
    outcomes = {name: [v for v in results.verdicts if v.outcome == name] for name in OUTCOMES}
    say("aims: " + ", ".join(f"{len(found)} {OUTCOMES[name]}" for name, found in outcomes.items()))
    for name, color in (("broken", RED), ("missed", YELLOW)):
        for verdict in outcomes[name]:
            say(f"  {paint(name, color)}: {sentence(verdict)}")
    return int(bool(changes or outcomes["broken"]))


OUTCOMES = {"holds": "hold", "missed": "known misses", "broken": "broken", "not measured": "not measured"}


def sentence(verdict: Verdict) -> str:
    """An aim that does not hold, in words."""
    aim = verdict.threshold
    text = f"{aim.name()}: {aim.aim(verdict.value)}, {aim.aim()} is wanted" if verdict.value is not None else aim.name()
    if verdict.outcome == "broken" and aim.reached is not None:
        text += f", {aim.aim(aim.reached)} was reached"
    return f"{text}: {aim.missed}" if aim.missed else text


def show(title: str, found: Sequence[Figure]) -> None:
    """The table of one exhibit, for a person: what was measured, beside the peer's best way and the least that is
    possible. All variants of the peer, and what the paper reports of other machines, are in the file and the report.
    """
    from rich.console import Console
    from rich.table import Table

    by_key = {key_of(figure): figure for figure in found}
    lines = []
    for figure in found:
        if figure["system"] not in OURS or operation_of(figure) or str(figure["variant"]).endswith(WALL_RATIO):
            continue
        theirs = counterpart(figure, found, "linux") if figure["system"] == "exos" else None
        linux_cells = [_cell(theirs, "median"), str(theirs["variant"])] if theirs else ["", ""]
        ratios = [ratio(figure, found, system) for system in ("linux", "limit")]
        beside = [by_key.get(key_of(figure)._replace(unit="count", variant=v)) for v in operation_variants(figure)]
        cells = [_cell(figure, key) for key in KEYS[1:]] + linux_cells + [f"{r:.3g}" if r else "" for r in ratios]
        counts = [_cell(f, "median") if f and figure["unit"] == "instructions" else "" for f in beside]
        lines.append([*cells, *counts])
    table = Table(title=title, box=None, title_justify="left", header_style="bold", pad_edge=False)
    names = (*KEYS[1:], "linux", "by", "/linux", "/limit", *COLUMNS)
    used = [i for i, name in enumerate(names) if name in NUMBERS or any(line[i] for line in lines)]
    for i in used:
        table.add_column(names[i], justify="left" if names[i] in (*KEYS[:5], "by") else "right")
    for line in lines:
        table.add_row(*(line[i] for i in used))
    Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 240).print(table)
    say("")


OURS = ("exos", "c", "gcc", "clang")  # measured within our own programs
COLUMNS = ("entries", "switches", "flushes", "invlpg")  # of operations.NAMES, medians


def operation_variants(figure: Figure) -> list[str]:
    """The variants under which kernel entries and so on of a figure are kept."""
    return [f"{figure['variant']}, {name}" if figure["variant"] else name for name in NAMES]


def operation_of(figure: Figure) -> str:
    """Which of kernel entries and so on a figure counts; empty if none."""
    name = str(figure["variant"]).rpartition(", ")[2]
    return name if figure["unit"] == "count" and name in NAMES else ""


def ratio(figure: Figure, found: Sequence[Figure], system: str) -> float | None:
    """A figure of ours to the best of another system; nothing where there is none, or where it is no cost."""
    if figure["system"] != "exos" or figure["unit"] not in COSTS:
        return None
    other = counterpart(figure, found, system)
    return number(figure, "median") / number(other, "median") if other and number(other, "median") else None


def _cell(figure: Figure, key: str) -> str:
    value = figure[key]
    if isinstance(value, str) or key == "n":
        return str(value)
    if figure["unit"] == "ns":
        return f"{value / 1e6:,.3f} ms" if value >= 1e5 else f"{value:,.0f} ns"
    if figure["unit"] == "count" and not float(value).is_integer():
        return f"{value:,.2f}"
    return f"{value:,.3f}" if figure["unit"] == "ratio" else f"{value:,.0f}"


def _purpose(path: Path) -> str:
    """The first paragraph of an exhibit's description, read without running it."""
    import ast

    return " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0].split())
