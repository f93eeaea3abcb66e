# SPDX-License-Identifier: MIT
"""`exo bench`: finds the exhibits in bench/, runs them, shows their figures, keeps them, and holds them against others.

An exhibit decides what is measured and how (exhibit.py); what it is held against lies beside it as data
(expectations.py). This module only shows and stores. It must never change or choose among what was measured.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from exokernel.host import expectations, figures, linux
from exokernel.host.build import REPOSITORY
from exokernel.host.exhibit import EXHIBITS, Context, discover, load
from exokernel.host.expectations import Results, counterpart, grown, judged, ratio, sentence
from exokernel.host.figures import KEYS, NUMBERS, Figure, checked, key_of, number
from exokernel.host.linux import Linux
from exokernel.host.operations import check_counter, operation_of, operation_variants
from exokernel.host.terminal import GREEN, RED, YELLOW, Failure, check_output, paint, progress, say, warn

BASELINE = EXHIBITS / "baseline.jsonl"
SHOWN = 20  # lines of an error
WALL_RATIO = "wall time to linux"  # a variant


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
    for path in (parsed.json, parsed.html):
        check_output(path)
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
        context = Context(name, parsed.runs, parsed.wall, accelerator, operations, named=bool(parsed.exhibits))
        started = time.monotonic()
        try:
            with progress(f"Measuring {name} ({place} of {len(chosen)}) ..."):
                found = [checked(figure) for figure in _rows(context, known[name], beside)]
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


def _rows(context: Context, path: Path, beside: Linux | None) -> Iterator[Figure]:
    """The figures of an exhibit: ours, the peer's, and what others report."""
    yield from (found := list(load(context.exhibit, path).rows(context)))
    theirs = list(linux.rows(beside, path.parent, context)) if beside else []
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
