# SPDX-License-Identifier: MIT
"""`exo bench --html`: one page with every figure, ours beside Linux's, the paper's and the least that is possible.

The page needs no network, no script and no colour. It says where we lose before it says anything in detail, and leaves no
figure out: what is not in a table is in the list that can be unfolded below it.
"""

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from exokernel.host import charts, expectations
from exokernel.host.exhibit import EXHIBITS, discover
from exokernel.host.expectations import COSTS, Results, Verdict, best, counterpart, ratio, reports, sentence
from exokernel.host.figures import Figure, key_of, number
from exokernel.host.operations import NAMES, operation_of, operation_variants

TEMPLATE = Path(__file__).with_suffix(".html")
# As the paper goes: its tables and figures first, then what it had not.
ORDER = "primitives ipc vm filter matrix stride ash latency threads http kv net boot language".split()  # noqa: SIM905
UNITS = {
    "instructions": "instructions",
    "ns": "time",
    "per-second": "per second",
    "ratio": "ratios",
    "bytes": "bytes",
    "count": "counts",
}
SYSTEMS = {
    "exos": "ours",
    "linux": "Linux",
    "limit": "the least possible",
    "sel4": "seL4",
    "c": "C",
    "gcc": "C by gcc",
    "clang": "C by clang",
    "paper-exos": "Aegis/ExOS, 1995",
    "paper-ultrix": "Ultrix 4.2",
    "paper-l3": "L3",
    "paper-mpf": "MPF",
    "paper-pathfinder": "PATHFINDER",
}
NEWEST = "DEC5000/125"  # the paper's fastest machine


@dataclass(frozen=True)
class Line:
    """A row of ours in a table. `operations`: kernel entries and so on, ours and Linux's."""

    row: str
    variant: str
    ours: str
    spread: str
    linux: str
    linux_by: str
    times: str
    worse: bool
    least: str
    to_least: str
    sel4: str
    paper: str
    operations: list[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """The rows of one unit, and which columns have anything in them."""

    unit: str
    lines: list[Line]

    def has(self, name: str) -> bool:
        """Whether any line has something under that name."""
        return any(getattr(line, name) for line in self.lines)


@dataclass(frozen=True)
class Printed:
    """A table as the paper prints it, with our rows and Linux's in instructions below."""

    title: str
    unit: str
    columns: list[str]
    rows: list[tuple[str, str, list[str]]]
    ours: list[tuple[str, str, list[str]]]


@dataclass(frozen=True)
class Section:
    """An exhibit."""

    name: str
    title: str
    text: str
    tables: list[Table]
    plots: list[str]
    printed: Printed | None
    sources: list[tuple[str, str]]
    figures: list[Figure]
    verdicts: list[Verdict]


def page(results: Results, folder: Path = EXHIBITS) -> str:
    """The page."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(TEMPLATE.read_text()).render(
        machine=results.machine,
        peer=results.machine.get("peer", ""),
        sections=sections_of(results, folder),
        glance=glance(results.figures),
        headline=headline(results),
        losses=losses(results.figures, results.verdicts, folder),
        above=above(results.figures),
        verdicts=results.verdicts,
        missed=missed(results.verdicts),
        sentence=sentence,
        cell=cell,
        system=system_name,
        operations=NAMES,
        units=UNITS,
    )


def sections_of(results: Results, folder: Path) -> list[Section]:
    """All exhibits of which there are figures, as the paper goes."""
    names = {str(f["exhibit"]) for f in results.figures}
    ordered = sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    return [section(name, results, folder) for name in ordered]


def section(name: str, results: Results, folder: Path) -> Section:
    """One exhibit."""
    found = [f for f in results.figures if f["exhibit"] == name]
    path = discover(folder).get(name)
    text = (ast.get_docstring(ast.parse(path.read_text())) or "") if path else ""
    title, _, rest = text.partition("\n\n") if "\n\n" in text else (text, "", "")
    told = reports(path.parent) if path else []
    tables = [Table(unit, lines) for unit in UNITS if (lines := [line_of(f, found) for f in main_figures(found, unit)])]
    return Section(
        name,
        " ".join(title.split()),
        paragraphs(rest),
        tables,
        list(plots(name, found)),
        printed(name, found),
        [(f"{system_name(r.system)}{', ' + r.variant if r.variant else ''}", r.source) for r in told],
        found,
        [v for v in results.verdicts if v.threshold.exhibit == name],
    )


def main_figures(found: Iterable[Figure], unit: str) -> list[Figure]:
    """What we measured, without what was counted beside."""
    return [f for f in found if f["system"] == "exos" and f["unit"] == unit and not operation_of(f)]


def line_of(figure: Figure, found: Sequence[Figure]) -> Line:
    """A figure of ours beside others'."""
    row, unit = str(figure["row"]), str(figure["unit"])
    linux, least, sel4 = (counterpart(figure, found, system) for system in ("linux", "limit", "sel4"))
    times = advantage(figure, linux)
    by_key = {key_of(f): f for f in found}

    def counted(of: Figure | None) -> list[str]:
        if of is None or unit != "instructions":
            return [""] * len(NAMES)
        keys = [key_of(of)._replace(unit="count", variant=variant) for variant in operation_variants(of)]
        return [cell(by_key[key], "median") if key in by_key else "" for key in keys]

    low, high = number(figure, "min"), number(figure, "max")
    paper = paper_advantage(found, row) if figure["variant"] == "" and unit in COSTS else None
    operations = list(zip(counted(figure), counted(linux), strict=True))
    return Line(
        row,
        str(figure["variant"]),
        cell(figure, "median"),
        "" if low == high else f"{cell(figure, 'min')} to {cell(figure, 'max')}",
        cell(linux, "median") if linux else "",
        str(linux["variant"]) if linux else "",
        as_times(times) if times else "",
        bool(times and times < 1),
        cell(least, "median") if least else "",
        f"{ratio(figure, found, 'limit') or 0:.3g}×" if least else "",
        cell(sel4, "median") if sel4 else "",
        as_times(paper) if paper else "",
        operations if any(any(pair) for pair in operations) else [],
    )


def advantage(figure: Figure, other: Figure | None) -> float | None:
    """How many times better ours is than another; below 1 it is worse."""
    if other is None or not number(figure, "median") or not number(other, "median"):
        return None
    if figure["unit"] in COSTS:
        return number(other, "median") / number(figure, "median")
    return number(figure, "median") / number(other, "median") if figure["unit"] == "per-second" else None


def paper_advantage(found: Sequence[Figure], row: str) -> float | None:
    """The paper's ExOS over its Ultrix on its fastest machine, in the same unit; the better way where there are two."""
    values = {}
    for system in ("paper-exos", "paper-ultrix"):
        times = [
            number(f, "median")
            for f in found
            if f["system"] == system and f["row"] == row and f["unit"] == "ns" and _is_plain(str(f["variant"]))
        ]
        values[system] = min(times, default=None)
    ours, theirs = values["paper-exos"], values["paper-ultrix"]
    return theirs / ours if ours and theirs else None


def _is_plain(variant: str) -> bool:
    return variant == NEWEST


def as_times(value: float) -> str:
    """An advantage in words."""
    if 0.995 <= value <= 1.005:
        return "the same"
    times, word = (value, "better") if value > 1 else (1 / value, "worse")
    return f"{times:,.0f}× {word}" if times >= 1000 else f"{times:.3g}× {word}"


def cell(figure: Figure, name: str) -> str:
    """A number of a figure with its unit, for a table."""
    value = number(figure, name)
    if name == "n":
        return f"{value:g}"
    if figure["unit"] == "ns":
        return as_time(value)
    if figure["unit"] == "bytes":
        return as_bytes(value)
    if figure["unit"] == "ratio":
        return f"{value:.3f}"
    return f"{value:,.0f}" if value >= 100 or float(value).is_integer() else f"{value:,.4g}"


def as_time(nanoseconds: float) -> str:
    for factor, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if nanoseconds >= factor:
            return (
                f"{nanoseconds / factor:,.3g} {unit}"
                if nanoseconds < 1000 * factor
                else f"{nanoseconds / factor:,.0f} {unit}"
            )
    return f"{nanoseconds:,.0f} ns"


def as_bytes(value: float) -> str:
    for factor, unit in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= factor:
            return f"{value / factor:,.3g} {unit}"
    return f"{value:,.0f} bytes"


def system_name(system: str) -> str:
    """A system as a person would say it."""
    return SYSTEMS.get(system, system.removeprefix("paper-"))


def paragraphs(text: str) -> str:
    """A docstring's text as HTML: paragraphs, lists of lines that begin with a dash, `code`."""
    html = []
    for block in re.split(r"\n\s*\n", text.strip()):
        items = re.split(r"^- ", block, flags=re.MULTILINE)
        if items[0].strip():
            html.append(f"<p>{_inline(items[0])}</p>")
        if len(items) > 1:
            html.append("<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items[1:]) + "</ul>")
    return "".join(html)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split()), quote=False))


# ---- the paper's tables


def printed(name: str, found: Sequence[Figure]) -> Printed | None:
    """The paper's times of an exhibit, machine by machine, and below them ours."""
    told = [f for f in found if str(f["system"]).startswith("paper-") and f["unit"] == "ns"]
    rows_of_ours = [str(f["row"]) for f in found if f["system"] == "exos"]
    columns = [
        c for c in dict.fromkeys([*rows_of_ours, *(str(f["row"]) for f in told)]) if c in {f["row"] for f in told}
    ]
    if not told:
        return None
    seconds = min(number(f, "median") for f in told) >= 1e9
    factor, unit = (1e9, "seconds") if seconds else (1e3, "microseconds")
    values = {(str(f["variant"]), str(f["system"]), str(f["row"])): number(f, "median") for f in told}
    machines = dict.fromkeys((variant.partition(",")[0], variant, system) for variant, system, _ in values)
    firsts = list(dict.fromkeys(machine for machine, _, _ in machines))
    rows = [
        (
            variant,
            system_name(system),
            [f"{v / factor:,.1f}" if (v := values.get((variant, system, c))) else "" for c in columns],
        )
        for machine, variant, system in sorted(machines, key=lambda m: firsts.index(m[0]))
    ]
    ours = []
    for system, label in (("exos", "ours"), ("linux", "Linux, its best")):
        cells = [best(found, name, c, "instructions", system, "" if system == "exos" else None) for c in columns]
        if any(cells):
            ours.append(("here, instructions", label, [cell(f, "median") if f else "" for f in cells]))
    return Printed("As the paper prints it", unit, columns, rows, ours)


# ---- plots


def plots(name: str, found: Sequence[Figure]) -> Iterable[str]:
    """Of one exhibit."""
    yield from latency_plot(found)
    yield from stride_plot(found)
    lines = []
    for figure in main_figures(found, "instructions"):
        points = [charts.Point(number(figure, "median"), "exos", f"ours: {cell(figure, 'median')}")]
        for system in ("linux", "c", "sel4", "limit"):
            other = counterpart(figure, found, system)
            if other:
                told = ", ".join(filter(None, (system_name(system), str(other["variant"]))))
                points.append(charts.Point(number(other, "median"), system, f"{told}: {cell(other, 'median')}"))
        label = ", ".join(filter(None, (str(figure["row"]), str(figure["variant"]))))
        if len(points) > 1 and points[0].value > 0:
            lines.append(charts.Row(label, points[0].title.removeprefix("ours: "), tuple(points)))
    if lines:
        shapes = {p.shape for line in lines for p in line.points}
        names = {shape: system_name(shape) for shape in charts.SHAPES if shape in shapes}
        yield charts.rows(f"{name}: instructions", lines, "logarithmic; the number is ours") + charts.key(names)


def latency_plot(found: Sequence[Figure]) -> Iterable[str]:
    """Figure 2: round trips against the number of processes."""
    series: dict[str, tuple[str, list[tuple[float, float]]]] = {}
    for figure in found:
        match = re.fullmatch(r"(?:latency-)?(\d+)", str(figure["row"]))
        if match and figure["unit"] == "ns":
            system = str(figure["system"])
            shape = "paper" if system.startswith("paper-") else system
            who = "1995" if shape == "paper" else system_name(system)
            label = ", ".join(filter(None, (who, str(figure["variant"]))))
            series.setdefault(label, (shape, []))[1].append((float(match[1]), number(figure, "median") / 1000))
    if series:
        yield charts.curves("Round trip against active processes on the receiver", series, "processes", "microseconds")
        used = {shape for shape, _ in series.values()}
        names = {"exos": "ours", "linux": "Linux", "paper": f"the paper, on a {NEWEST}"}
        yield charts.key({shape: name for shape, name in names.items() if shape in used})


def stride_plot(found: Sequence[Figure]) -> Iterable[str]:
    """Figure 3's end: how far each client is from its share."""
    lines = []
    for figure in found:
        if figure["exhibit"] == "stride" and figure["row"] == "shares" and figure["system"] == "exos":
            points = []
            for system, shape in (("exos", "exos"), ("linux", "linux"), ("paper-exos", "paper")):
                for other in found:
                    if other["system"] == system and str(other["variant"]).startswith(str(figure["variant"])):
                        off = max(abs(number(other, "median") - 1) * 100, 0.001)
                        points.append(
                            charts.Point(off, shape, f"{system_name(system)}, {other['variant']}: {off:.3g} %")
                        )
            lines.append(charts.Row(str(figure["variant"]), f"{points[0].value:.3g} % off", tuple(points)))
    if lines:
        shapes = {p.shape for line in lines for p in line.points}
        yield charts.rows(
            "How far each client is from its share", lines, "per cent, logarithmic; 0.001 stands for less"
        )
        names = {"exos": "ours", "linux": "Linux", "paper": "Aegis/ExOS, 1995"}
        yield charts.key({shape: name for shape, name in names.items() if shape in shapes})


def plain(found: Sequence[Figure]) -> list[Figure]:
    """Our instruction counts, of each row without a variant where there is one."""
    ours = [f for f in found if f["system"] == "exos" and f["unit"] == "instructions"]
    rows = {(f["exhibit"], f["row"]) for f in ours if not f["variant"]}
    return [f for f in ours if not f["variant"] or (f["exhibit"], f["row"]) not in rows]


def glance(found: Sequence[Figure]) -> str:
    """How many times better than the best Linux each row is, and than Ultrix it was."""
    lines = []
    for figure in plain(found):
        exhibit, row = str(figure["exhibit"]), str(figure["row"])
        linux = counterpart(figure, found, "linux")
        times = advantage(figure, linux)
        if linux is None or times is None:
            continue
        title = f"over Linux ({linux['variant']}): {as_times(times)}"
        points = [charts.Point(times, "exos", title)]
        paper = paper_advantage([f for f in found if f["exhibit"] == exhibit], row)
        if paper and not figure["variant"]:
            points.append(charts.Point(paper, "paper", f"the paper, over Ultrix: {as_times(paper)}"))
        name = ", ".join(filter(None, (f"{exhibit} {row}", str(figure["variant"]))))
        lines.append(charts.Row(name, as_times(times), tuple(points), bar=True))
    if not lines:
        return ""
    lines.sort(key=lambda line: -line.points[0].value)
    names = {
        "exos": "ours over the best way on Linux, instructions",
        "paper": f"the paper's ExOS over Ultrix, time on a {NEWEST}",
    }
    return charts.rows("How many times cheaper", lines, "logarithmic; right is better") + charts.key(names)


# ---- what is said in words


def headline(results: Results) -> list[tuple[str, str]]:
    """A few numbers to begin with: value and what it is."""
    pairs = [(f, counterpart(f, results.figures, "linux")) for f in plain(results.figures)]
    times = sorted(t for f, other in pairs if (t := advantage(f, other)) is not None)
    facts = []
    if times:
        facts.append(
            (f"{sum(t > 1 for t in times)} of {len(times)}", "operations are cheaper than the best way on Linux")
        )
        facts.append((f"{times[len(times) // 2]:.3g}×", "is the middle advantage, in instructions"))
    held = sum(v.outcome == "holds" for v in results.verdicts)
    counted = sum(v.outcome != "not measured" for v in results.verdicts)
    if counted:
        facts.append((f"{held} of {counted}", "aims that were measured are met"))
    return [*facts, (f"{len(results.figures):,}", "figures, all of them below")]


def losses(found: Sequence[Figure], verdicts: Sequence[Verdict] = (), folder: Path = EXHIBITS) -> list[str]:
    """Rows in which Linux's best is better, and why, where an aim or losses.toml says so."""
    told = {name: expectations.losses(folder / name) for name in {str(f["exhibit"]) for f in found}}

    def reason_of(figure: Figure) -> str:
        exhibit, row, variant, unit = (str(figure[name]) for name in ("exhibit", "row", "variant", "unit"))
        aims = [v.threshold for v in verdicts if v.threshold.to == "linux" and v.threshold.missed]
        reasons = [a.missed for a in aims if (a.exhibit, a.row, a.variant) == (exhibit, row, variant)]
        reasons += [
            t.why for t in told[exhibit] if t.variant == variant and t.unit == unit and re.fullmatch(t.row, row)
        ]
        return next(iter(reasons), "")

    said = []
    for figure in found:
        if figure["system"] == "exos" and not operation_of(figure):
            linux = counterpart(figure, found, "linux")
            times = advantage(figure, linux)
            if linux is not None and times is not None and times < 0.995:
                name = ", ".join(filter(None, (f"{figure['exhibit']} {figure['row']}", str(figure["variant"]))))
                by = f"Linux by {linux['variant']}" if linux["variant"] else "Linux"
                reason = reason_of(figure)
                text = f"{name}: {cell(figure, 'median')}, {by} {cell(linux, 'median')}: {as_times(times)}"
                said.append(f"{text}. {reason[:1].upper()}{reason[1:]}." if reason else text)
    return said


def missed(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Aims that do not hold, but those which `losses` tells."""
    told = [v for v in verdicts if v.outcome == "missed" and v.threshold.to == "linux" and v.threshold.limit() == 1]
    return [v for v in verdicts if v.outcome in ("missed", "broken") and v not in told]


def above(found: Sequence[Figure]) -> list[tuple[float, str]]:
    """Rows above the least that is possible, the farthest first."""
    said = []
    for figure in found:
        times = ratio(figure, found, "limit")
        least = counterpart(figure, found, "limit")
        if times is not None and least is not None and times > 1.005:
            name = ", ".join(filter(None, (f"{figure['exhibit']} {figure['row']}", str(figure["variant"]))))
            said.append((times, f"{name}: {cell(figure, 'median')}, the least is {cell(least, 'median')}"))
    return sorted(said, reverse=True)
