# SPDX-License-Identifier: MIT
"""What figures are held against: what others report, what this project aims at, and what was measured before.

The first two lie beside each exhibit, as data: `paper.toml` (the paper's numbers, the least that is possible, other
systems) and `thresholds.toml` (the aims). The third is bench/baseline.jsonl, for `exo bench --check`. A file that cannot
be understood is an error with its name; nothing is ever left out silently.
"""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exokernel.host.figures import UNITS, Figure, Key, figure, key_of, number
from exokernel.host.terminal import Failure

COSTS = ("instructions", "ns", "bytes")  # of these, less is better
GROWTH = 1.02  # a row that needs more than 2 % more than it did is named


@dataclass(frozen=True)
class Report:
    """A row of somebody else's table: `values` by our rows."""

    system: str
    unit: str
    source: str
    values: dict[str, float]
    variant: str = ""


@dataclass(frozen=True)
class Threshold:
    """An aim: the median of a figure of ours is `at_most` or `at_least` so much; with `to` a system's name, so many times
    that system's best. `missed` says why it is known not to hold, and `reached` what it was then, which it must keep.
    """

    exhibit: str
    row: str
    source: str
    variant: str = ""
    unit: str = "instructions"
    at_most: float | None = None
    at_least: float | None = None
    to: str = ""
    missed: str = ""
    reached: float | None = None

    def limit(self) -> float:
        """The number of the aim."""
        limit = self.at_most if self.at_most is not None else self.at_least
        assert limit is not None
        return limit

    def holds(self, value: float, limit: float | None = None) -> bool:
        """Whether `value` is on the right side of `limit`, or of the aim."""
        limit = self.limit() if limit is None else limit
        return value <= limit if self.at_most is not None else value >= limit

    def name(self) -> str:
        """The row, with its variant."""
        return f"{self.exhibit} {self.row}" + (f", {self.variant}" if self.variant else "")

    def aim(self, value: float | None = None) -> str:
        """The aim in words, or `value` in its unit."""
        unit = f"times {self.to}" if self.to else {"ns": "ns", "ratio": "", "bytes": "bytes"}.get(self.unit, self.unit)
        if value is not None:
            return f"{value:,.4g} {unit}".rstrip() if abs(value) < 100 else f"{value:,.0f} {unit}".rstrip()
        return f"{'at most' if self.at_most is not None else 'at least'} {self.aim(self.limit())}"


@dataclass(frozen=True)
class Verdict:
    """A threshold beside what was measured; None if it was not."""

    threshold: Threshold
    value: float | None

    @property
    def outcome(self) -> str:
        """holds, missed (as is known), broken, or not measured."""
        aim = self.threshold
        if self.value is None:
            return "not measured"
        if aim.holds(self.value):
            return "holds"
        kept = aim.missed and aim.reached is not None and aim.holds(self.value, aim.reached * _slack(aim))
        return "missed" if kept else "broken"


def _slack(aim: Threshold) -> float:
    return GROWTH if aim.at_most is not None else 1 / GROWTH


def reports(folder: Path) -> list[Report]:
    """What paper.toml of an exhibit's folder says; nothing if it has none."""
    found = []
    for entry in _entries(folder / "paper.toml", "figures"):
        made: Report = _made(Report, entry, folder / "paper.toml")
        found.append(made)
    return found


def reported(exhibit: str, found: Iterable[Report]) -> list[Figure]:
    """The same as figures."""
    return [
        figure(exhibit, row, report.unit, [value], report.system, report.variant)
        for report in found
        for row, value in report.values.items()
    ]


def thresholds(exhibit: str, folder: Path) -> list[Threshold]:
    """What thresholds.toml of an exhibit's folder says; nothing if it has none."""
    path = folder / "thresholds.toml"
    found = []
    for entry in _entries(path, "thresholds"):
        threshold: Threshold = _made(Threshold, {"exhibit": exhibit} | entry, path)
        if (threshold.at_most is None) == (threshold.at_least is None):
            raise Failure(f"{path}: {threshold.row} needs one of at_most and at_least")
        if bool(threshold.missed) != (threshold.reached is not None):
            raise Failure(f"{path}: {threshold.row}: `missed` says why, `reached` says how far; both or none")
        found.append(threshold)
    return found


@dataclass(frozen=True)
class Loss:
    """Why rows (a regular expression) of a variant are dearer than Linux's, where no aim says it."""

    row: str
    variant: str
    why: str
    unit: str = "ns"


def losses(folder: Path) -> list[Loss]:
    """What losses.toml of an exhibit's folder says; nothing if it has none."""
    path = folder / "losses.toml"
    found: list[Loss] = [_made(Loss, entry, path) for entry in _entries(path, "losses")]
    return found


def _entries(path: Path, table: str) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(f"{path}: {error}") from None
    if set(content) != {table}:
        raise Failure(f"{path} has other tables than [[{table}]]: {', '.join(sorted(set(content) - {table}))}")
    found: list[dict[str, Any]] = content[table]
    return found


def _made(kind: type[Any], entry: dict[str, Any], path: Path) -> Any:
    try:
        made = kind(**entry)
    except TypeError as error:
        raise Failure(f"{path}: {str(error).replace('__init__() ', '')}") from None
    if made.unit not in UNITS:
        raise Failure(f"{path}: {made.unit!r} is not a unit", f"there are: {', '.join(UNITS)}")
    return made


def judged(aims: Iterable[Threshold], figures: Sequence[Figure]) -> list[Verdict]:
    """Each aim beside the median that was measured."""
    return [Verdict(aim, _value(aim, figures)) for aim in aims]


def _value(aim: Threshold, figures: Sequence[Figure]) -> float | None:
    ours = best(figures, aim.exhibit, aim.row, aim.unit, "exos", aim.variant)
    if ours is None or not aim.to:
        return None if ours is None else number(ours, "median")
    theirs = counterpart(ours, figures, aim.to)
    return None if theirs is None else number(ours, "median") / number(theirs, "median")


def best(
    figures: Iterable[Figure], exhibit: str, row: str, unit: str, system: str, variant: str | None = None
) -> Figure | None:
    """A row's figure of a system: of `variant`, else the best one, which has the smallest median, or the largest of what
    is counted per second. A variant that measures something else than the row says so by a remark in brackets, and is
    never taken.
    """
    found = [
        f
        for f in figures
        if (f["exhibit"], f["row"], f["unit"], f["system"]) == (exhibit, row, unit, system)
        and (f["variant"] == variant if variant is not None else "(" not in str(f["variant"]))
    ]
    choose = max if unit == "per-second" else min
    return choose(found, key=lambda f: number(f, "median"), default=None)


def counterpart(figure: Figure, figures: Sequence[Figure], system: str) -> Figure | None:
    """What a system has beside a figure of ours: the best of its variants that have ours in their names (`nginx,
    keep-alive` beside `keep-alive`), or if there are none, of those that have no other's; where less is not better, the
    first. Nothing beside what is only a part of a row, which says so in brackets.
    """
    exhibit, row, variant, unit = (str(figure[name]) for name in ("exhibit", "row", "variant", "unit"))
    if "(" in variant:
        return None
    theirs = [f for f in figures if key_of(f)[:3] == (exhibit, row, system) and f["unit"] == unit]
    same = [f for f in theirs if _parts(figure) <= _parts(f)] if variant else []
    ours = [f for f in figures if key_of(f)[:3] == (exhibit, row, "exos") and f["unit"] == unit and f["variant"]]
    others = [f for f in theirs if not any(_parts(our) <= _parts(f) for our in ours)]
    if unit in COSTS or unit == "per-second":
        return best(same or others, exhibit, row, unit, system)
    return next(iter(same or others), None)


def _parts(figure: Figure) -> set[str]:
    """Of a variant: `nginx, keep-alive` has two."""
    return set(str(figure["variant"]).split(", "))


@dataclass(frozen=True)
class Change:
    """A row of the baseline that needs more than it did; None if it was not measured."""

    key: Key
    before: float
    now: float | None

    def __str__(self) -> str:
        name = " ".join(filter(None, (self.key.exhibit, self.key.row, self.key.variant and f"({self.key.variant})")))
        if self.now is None:
            return f"{name}: {self.before:,.0f} instructions before, not measured now"
        return (
            f"{name}: {self.before:,.0f} instructions before, {self.now:,.0f} now ({self.now / self.before - 1:+.1%})"
        )


def comparable(figures: Iterable[Figure]) -> list[Figure]:
    """The figures that a later run can be compared with anywhere: our instruction counts."""
    return [f for f in figures if f["system"] == "exos" and f["unit"] == "instructions"]


def grown(figures: Iterable[Figure], baseline: Iterable[Figure]) -> list[Change]:
    """Rows of the exhibits that were measured whose median lies more than 2 % above the baseline's upper quartile (for
    exact rows, its value), and those that are gone.
    """
    now = {key_of(f): f for f in comparable(figures)}
    measured = {key.exhibit for key in now}
    changes = []
    for before in comparable(baseline):
        key = key_of(before)
        if key.exhibit not in measured:
            continue
        value = number(now[key], "median") if key in now else None
        if value is None or value > GROWTH * number(before, "q3"):
            changes.append(Change(key, number(before, "median"), value))
    return changes


def ratio(figure: Figure, found: Sequence[Figure], system: str) -> float | None:
    """A figure of ours to the best of another system; nothing where there is none, or where it is no cost."""
    if figure["system"] != "exos" or figure["unit"] not in COSTS:
        return None
    other = counterpart(figure, found, system)
    return number(figure, "median") / number(other, "median") if other and number(other, "median") else None


def sentence(verdict: Verdict) -> str:
    """An aim that does not hold, in words."""
    aim = verdict.threshold
    text = f"{aim.name()}: {aim.aim(verdict.value)}, {aim.aim()} is wanted" if verdict.value is not None else aim.name()
    if verdict.outcome == "broken" and aim.reached is not None:
        text += f", {aim.aim(aim.reached)} was reached"
    return f"{text}: {aim.missed}" if aim.missed else text


@dataclass
class Results:
    """Everything known of one or more exhibits: what was measured and reported, and the aims."""

    figures: list[Figure] = field(default_factory=list)
    machine: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # exhibits, and why
    verdicts: list[Verdict] = field(default_factory=list)
