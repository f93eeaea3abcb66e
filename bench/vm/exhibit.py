# SPDX-License-Identifier: MIT
"""Virtual memory (table 10 of SOSP 1995), two page tables behind one interface (table 13), fork and spawn.

Instructions under `-icount shift=0`, where the time-stamp counter counts them, of compiled Python that calls
`exokernel.exos.vm`; medians of 31 in one machine, whose clock ticks in some of them. A page is touched by a store. The
variant `inverted` is the same program with the hashed page table. What a row counts, loops included, is what the
paper's authors measured in their later program `vm-perf.c`:

- dirty: asking whether one page is dirty, which is a look at the kernel's exported table, the same for both variants;
  100 pages in random order, divided by 100.
- prot1: changing what one page allows; 100 pages in random order, one call each, divided by 100.
- prot100, unprot100: one call that takes the right to write from 100 pages, or gives it back, all of which change.
- trap: a store that faults, the region's Python function, and the return; the function leaves the page protected until
  it was called 100 times, so nothing but delivery and return is in it. Divided by 100.
- appel1 (prot1+trap+unprot): a store to a random protected page; the function protects the page touched before and
  unprotects this one. Per page.
- appel2 (protN+trap+unprot): 100 pages are protected, then each is touched in random order; the function unprotects
  it. Per page, with its hundredth of the first call.
- demand-zero: the first load from a page, until it has its value; `(without clearing)`: less CLEARING, which the kernel
  takes for the zeros. `frame-claim` is the kernel's part, clearing included.

Processes: all that runs between two looks at the clock counts: parent, child and kernel, switches and ticks included.

- fork: a process with 64 written pages beside those of program and stack forks; the child exits at once; until the
  parent, which waits for it, has its status. `the child writes` to one page first, which is its first page fault: then it
  goes over its page table, which one that exits at once never does. `(call alone)` is the part until the parent's `fork`
  returns. `(afterwards)` is what the kernel had not yet taken apart when the parent went on, and does in claims and at ticks.
- spawn: a program of the bundle is started without arguments, with four pages of stack; its main returns at once; until
  the parent has its status. `(call alone)` is the part until `spawn` returns.
"""

from collections.abc import Iterable
from pathlib import Path

from exokernel.host.exhibit import Context, Figure

HERE = Path(__file__).parent
CLEARING = 512  # instructions: words of a frame, one each
PAGES = 100  # of one sample, where the row is for one page
WHOLE = ("prot100", "unprot100", "frame-claim")

TABLES = (("", HERE / "pages.py"), ("inverted", HERE / "inverted_pages.py"))
VARIANTS = {
    "": "",
    "writing": "the child writes",
    "call": "(call alone)",
    "after": "(afterwards)",
}  # in brackets: parts


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    for variant, application in TABLES:
        for line in context.run(application).printed:
            values = [value / 100 for value in line.values]  # hundredths are printed
            yield context.figure(line.row, "instructions", values, variant=variant)
            if line.row == "demand-zero":
                without = [value - CLEARING for value in values]
                yield context.figure(line.row, "instructions", without, variant=f"{variant} (without clearing)".strip())
            pages = 1 if line.row in WHOLE else PAGES
            yield from context.operation_figures(line.row, variant, line.regions, pages)
        for line, times in context.wall_figures(application):
            yield context.figure(line.row, "ns", [value / 100 for value in times], variant=variant)
    for line in context.run(HERE / "processes.py").printed:
        row, _, part = line.row.partition("-")
        variant = VARIANTS[part]
        yield context.figure(row, "instructions", [value / 100 for value in line.values], variant=variant)
        if part in ("", "writing"):  # others are parts, the regions are the whole
            yield from context.operation_figures(row, variant, line.regions)
    for line, times in context.wall_figures(HERE / "processes.py"):
        row, _, part = line.row.partition("-")
        yield context.figure(row, "ns", [value / 100 for value in times], variant=VARIANTS[part])
