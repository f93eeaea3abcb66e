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
- demand-zero: the first load from a page, until it has its value; `without clearing`: less CLEARING, which the kernel
  takes for the zeros. `frame-claim` is the kernel's part, clearing included.

Processes: all that runs between two looks at the clock counts: parent, child and kernel, switches and ticks included.

- fork: a process with 64 written pages beside those of program and stack forks; the child exits at once; until the
  parent, which waits for it, has its status. `the child writes` to one page first, which is its first page fault: then it
  goes over its page table, which one that exits at once never does. `call alone` is the part until the parent's `fork`
  returns. `afterwards` is what the kernel had not yet taken apart when the parent went on, and does in claims and at ticks.
- spawn: a program of the bundle is started without arguments, with four pages of stack; its main returns at once; until
  the parent has its status. `call alone` is the part until `spawn` returns.

`paper-exos` of fork: ExOS on Xok (SOSP 1997), which did not share page tables, on a Pentium Pro of 200 MHz. Others
`paper-exos` and `paper-ultrix`: table 10, DECstation 5000/125; table 13 has the hashed table on a 3100 only.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.bench import Context, Figure
from exokernel.host.build import build
from exokernel.host.machine import Machine, measured

HERE = Path(__file__).parent
TIMEOUT = 60.0  # seconds of one boot
CLEARING = 512  # instructions: words of a frame, one each

ROWS = ("dirty", "prot1", "prot100", "unprot100", "trap", "appel1", "appel2")
PAPER = {  # nanoseconds, in the order of ROWS
    ("paper-ultrix", "table 10"): (None, 32000, 102000, 102000, 161000, 262000, 232000),
    ("paper-exos", "table 10"): (9800, 16900, 109000, 143000, 4800, 34000, 22000),
    ("paper-exos", "table 13, DEC3100, original"): (13100, 24400, 156000, 206000, 10100, 55000, 34000),
    ("paper-exos", "table 13, DEC3100, inverted"): (5900, 17700, 189000, 243000, 10100, 40400, 28900),
}
FORK_OF_XOK = 6_000_000  # ns
VARIANTS = {"": "", "writing": "the child writes", "call": "call alone", "after": "afterwards"}


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    for variant, application in (("", "pages.py"), ("inverted", "inverted_pages.py")):
        for row, values in samples_of(HERE / application).items():
            yield context.figure(row, "instructions", values, variant=variant)
            if row == "demand-zero":
                without = [value - CLEARING for value in values]
                yield context.figure(row, "instructions", without, variant=f"{variant} without clearing".strip())
    for name, values in samples_of(HERE / "processes.py").items():
        row, _, variant = name.partition("-")
        yield context.figure(row, "instructions", values, variant=VARIANTS[variant])
    yield context.figure("fork", "ns", [FORK_OF_XOK], system="paper-exos")
    for (system, variant), values in PAPER.items():
        for row, value in zip(ROWS, values, strict=True):
            if value is not None:
                yield context.figure(row, "ns", [value], system=system, variant=variant)


def samples_of(application: Path) -> dict[str, list[float]]:
    """The samples of each row; the application prints hundredths."""
    with Machine(build([application]).path, measured(icount=True), timeout=TIMEOUT) as machine:
        machine.wait()
        console = machine.console.decode()
        if machine.status != 0 or "failed" in console:
            raise ValueError(f"{application.name} failed\n{machine.transcript()}")
    return {
        row: [int(number) / 100 for number in numbers.split()]
        for row, numbers in re.findall(r"^([a-z0-9-]+)((?: \d+)+)$", console, re.M)
    }
