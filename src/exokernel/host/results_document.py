# SPDX-License-Identifier: MIT
"""docs/results.md, written from the run that is kept in bench/results.jsonl: `python -m exokernel.host.results_document`.

With `--check` nothing is written and the status says whether the committed document is current. It says what the report
says (`exo bench --html`), without plots and variants, for who reads the sources. It must never say a number that is not in
that file.
"""

import argparse
import sys
from collections.abc import Iterable

from exokernel.host import expectations, figures
from exokernel.host.bench_page import UNITS, Line, Section, above, losses, missed, sections_of
from exokernel.host.build import REPOSITORY
from exokernel.host.exhibit import EXHIBITS, discover
from exokernel.host.expectations import Results, judged, sentence
from exokernel.host.operations import NAMES

KEPT = EXHIBITS / "results.jsonl"
DOCUMENT = REPOSITORY / "docs/results.md"

INTRODUCTION = """\
# Results

*Written by `python -m exokernel.host.results_document` from `bench/results.jsonl`; a test compares it. Do not edit it by hand.*

What one run of all exhibits has found, medians; [reproduce.md](reproduce.md) says how to repeat it. Instructions are
exact and the same on every computer. Of several ways to do a thing on Linux the cheapest stands here; all of them,
quartiles and plots are in the report that `./exo bench --from bench/results.jsonl --html report.html` makes of the same
file. "The least" is hand-written assembly that does nothing else. "Entries, switches, flushes, invalidations" are kernel
entries, address-space switches, flushes of the whole TLB and of one page's translation, which an instruction count hides
(`src/exokernel/host/operations.py`).
"""


def kept() -> Results:
    """The run that is kept, judged by the aims of today."""
    found = figures.read(KEPT)
    names = {str(f["exhibit"]) for f in found}
    aims = [a for name, path in discover().items() if name in names for a in expectations.thresholds(name, path.parent)]
    return Results(found, figures.read_machine(KEPT), verdicts=judged(aims, found))


def document(results: Results) -> str:
    """The whole text."""
    parts = [INTRODUCTION, "## The machine\n", *(f"- {name}: {text}" for name, text in results.machine.items()), ""]
    parts += ["## Where we lose, and why\n"]
    lost = losses(results.figures, results.verdicts)
    parts += ["Dearer than the best way on Linux:\n", *_items(lost)]
    off = [sentence(v) for v in missed(results.verdicts)]
    parts += ["Other aims that are missed:\n", *_items(off)]
    least = [f"{text} ({times:.3g}×)" for times, text in above(results.figures)]
    parts += ["Above the least that is possible:\n", *_items(least)]
    for section in sections_of(results, EXHIBITS):
        parts += [f"## {section.name}\n", f"{section.title} `./exo bench {section.name}`\n", *tables(section)]
    return "\n".join(parts).rstrip() + "\n"


def _items(texts: Iterable[str]) -> list[str]:
    return [*(f"- {text}" for text in texts), ""] if texts else ["None.\n"]


def tables(section: Section) -> Iterable[str]:
    """An exhibit's tables, without columns that have nothing in them."""
    for table in section.tables:
        columns = [
            ("row", [f"`{line.row}`{', ' if line.variant else ''}{line.variant}" for line in table.lines]),
            (f"ours, {UNITS[table.unit]}", [line.ours for line in table.lines]),
            ("Linux", [f"{line.linux} ({line.linux_by})" if line.linux_by else line.linux for line in table.lines]),
            ("ours is", [line.times for line in table.lines]),
            ("the paper's over Ultrix was", [line.paper for line in table.lines]),
            ("the least", [line.least for line in table.lines]),
            ("seL4", [line.sel4 for line in table.lines]),
            ("entries, switches, flushes, invalidations", [operations(line, 0) for line in table.lines]),
            ("Linux's", [operations(line, 1) for line in table.lines]),
        ]
        columns = [column for column in columns if any(column[1])]
        yield f"| {' | '.join(name for name, _ in columns)} |"
        yield f"|{'---|' * len(columns)}"
        for cells in zip(*(cells for _, cells in columns), strict=True):
            yield f"| {' | '.join(cells)} |"
        yield ""


def operations(line: Line, place: int) -> str:
    """Kernel entries and so on of ours (0) or Linux's (1)."""
    found = [pair[place] for pair in line.operations]
    return ", ".join(found) if len(found) == len(NAMES) and all(found) else ""


def main(arguments: list[str]) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m exokernel.host.results_document", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when the document is not current")
    parsed = parser.parse_args(arguments)
    text = document(kept())
    if DOCUMENT.exists() and DOCUMENT.read_text() == text:
        return 0
    if parsed.check:
        print(f"{DOCUMENT.relative_to(REPOSITORY)} is not current: run python -m exokernel.host.results_document")
        return 1
    DOCUMENT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
