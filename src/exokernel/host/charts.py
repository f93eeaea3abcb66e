# SPDX-License-Identifier: MIT
"""Plots as inline SVG, for the report. They grow and shrink with the page, their text does not: places across are per
cent, places down are pixels. Who is who is told by shape as well as by colour (the page's style sheet has the colours).

Nothing here knows what is plotted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

LEFT, RIGHT = 1.5, 96.0  # per cent: the first and the last place of an axis
ROW = 36  # pixels
AXIS = 24

SHAPES = {  # around (0, 0)
    "exos": '<circle r="5"/>',
    "linux": '<path d="M0-6 6 0 0 6-6 0z"/>',
    "limit": '<path d="M-1.5-7h3v14h-3z"/>',
    "sel4": '<path d="M0-6 5.5 4.5h-11z"/>',
    "paper": '<path class="hollow" d="M-4.5-4.5h9v9h-9z"/>',
    "c": '<path d="M-5-5h10v10h-10z"/>',
}


@dataclass(frozen=True)
class Point:
    """One mark. `shape` is a key of SHAPES, `title` what is read when one points at it."""

    value: float
    shape: str
    title: str


@dataclass(frozen=True)
class Row:
    """A line of a plot: its name, a remark at the right end, and its marks. With `bar` a bar leads from 1 to the first."""

    name: str
    remark: str
    points: tuple[Point, ...]
    bar: bool = False


def rows(title: str, lines: Sequence[Row], unit: str) -> str:
    """Marks of each line on one logarithmic axis, which begins at a power of ten."""
    values = [p.value for line in lines for p in line.points if p.value > 0]
    low = math.floor(math.log10(min(values)) + 1e-9)
    high = max(math.ceil(math.log10(max(values)) - 1e-9), low + 1)

    def across(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (math.log10(max(value, 10.0**low)) - low) / (high - low)

    bottom = ROW * len(lines) + 4
    parts = [_grid(across(10.0**n), bottom, short(10.0**n)) for n in range(low, high + 1)]
    for number, line in enumerate(lines):
        top = ROW * number
        middle = top + 25
        parts.append(f'<text x="0" y="{top + 14}">{escape(line.name)}</text>')
        parts.append(f'<text x="100%" y="{top + 14}" class="remark">{escape(line.remark)}</text>')
        if line.bar:
            start, end = sorted((across(1), across(line.points[0].value)))
            parts.append(
                f'<rect class="bar" x="{start:.2f}%" y="{middle - 4}" width="{end - start:.2f}%" height="8" rx="2"/>'
            )
        elif len(line.points) > 1:
            ends = [across(p.value) for p in line.points]
            parts.append(
                f'<line class="span" x1="{min(ends):.2f}%" x2="{max(ends):.2f}%" y1="{middle}" y2="{middle}"/>'
            )
        parts += [_mark(across(p.value), middle, p) for p in reversed(line.points)]
    return _svg(title, bottom + AXIS, parts, unit)


def curves(
    title: str, series: Mapping[str, tuple[str, Sequence[tuple[float, float]]]], across_name: str, unit: str
) -> str:
    """Lines through points, `series` by name: a shape, and points by their place across. The axis up is logarithmic."""
    points = [p for _, found in series.values() for p in found]
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    low = math.floor(math.log10(min(y for _, y in points)) + 1e-9)
    high = max(math.ceil(math.log10(max(y for _, y in points)) - 1e-9), low + 1)
    height, left, right = 230, 9, 58  # pixels, and per cent: names stand to the right of the lines

    def across(x: float) -> float:
        return left + (right - left) * (x - first) / (last - first or 1)

    def down(y: float) -> float:
        return 12 + height * (high - math.log10(y)) / (high - low)

    parts = []
    for n in range(low, high + 1):
        y = down(10.0**n)
        parts.append(f'<line class="grid" x1="{left}%" x2="{right}%" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="0" y="{y + 4:.1f}">{short(10.0**n)}</text>')
    for x in sorted({x for x, _ in points}):
        parts.append(f'<text class="tick middle" x="{across(x):.2f}%" y="{height + 32}">{x:g}</text>')
    free = 0.0  # where the next name may stand: they are put below each other from the top
    for name, (shape, found) in sorted(series.items(), key=lambda item: -max(item[1][1])[1]):
        ordered = sorted(found)
        for (x1, y1), (x2, y2) in pairwise(ordered):
            parts.append(
                f'<line class="curve {shape}" x1="{across(x1):.2f}%" y1="{down(y1):.1f}" x2="{across(x2):.2f}%" '
                f'y2="{down(y2):.1f}"/>'
            )
        parts += [_mark(across(x), down(y), Point(y, shape, f"{name}, {x:g}: {y:,.4g} {unit}")) for x, y in ordered]
        end = down(ordered[-1][1])
        free = max(end, free + 15)
        parts.append(f'<line class="lead" x1="{right + 1}%" y1="{end:.1f}" x2="{right + 3.5}%" y2="{free:.1f}"/>')
        parts.append(f'<text class="name {shape}" x="{right + 4}%" y="{free + 4:.1f}">{escape(name)}</text>')
    return _svg(title, max(height, free) + 40, parts, f"{unit}; across: {across_name}")


def short(value: float) -> str:
    """A round number in few characters: 100, 10k, 1M."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g}{letter}"
    return f"{value:g}"


def key(names: Mapping[str, str]) -> str:
    """What the shapes mean, `names` by shape."""
    parts = [
        f'<span><svg class="key" aria-hidden="true" viewBox="-8 -8 16 16"><g class="mark {shape}">{SHAPES[shape]}</g></svg>'
        f"{escape(name)}</span>"
        for shape, name in names.items()
    ]
    return f'<p class="legend">{"".join(parts)}</p>'


def _grid(x: float, bottom: float, label: str) -> str:
    line = f'<line class="grid" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="{bottom}"/>'
    return f'{line}<text class="tick middle" x="{x:.2f}%" y="{bottom + 15}">{label}</text>'


def _mark(x: float, y: float, point: Point) -> str:
    # A picture in the picture is placed by per cent; what is drawn in it is not.
    drawn = f'<g class="mark {point.shape}"><title>{escape(point.title)}</title>{SHAPES[point.shape]}</g>'
    return f'<svg x="{x:.2f}%" y="{y:.1f}" overflow="visible">{drawn}</svg>'


def _svg(title: str, height: float, parts: Sequence[str], unit: str) -> str:
    svg = f'<svg role="img" width="100%" height="{height}"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    return f"<figure><figcaption>{escape(title)} <small>({escape(unit)})</small></figcaption>{svg}</figure>"
