# SPDX-License-Identifier: MIT
"""docs/abi.md, written from the interface table and the stubs' docstrings: `python -m exokernel.host.interface_document`.

With `--check` nothing is written and the status says whether the committed document is current; with `--measure` the
calls' costs are measured anew, in a booted machine whose clock counts instructions. Otherwise the costs are those that
the document already states. It must never say anything about a call that is not in table, stub or measurement.
"""

import argparse
import inspect
import re
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from exokernel.aegis import abi
from exokernel.exos import aegis, ash
from exokernel.host.build import REPOSITORY, build
from exokernel.host.exhibit import EXHIBITS, Context, load
from exokernel.host.interface import INTERFACE, Description
from exokernel.host.machine import Machine, Options

DOCUMENT = REPOSITORY / "docs/abi.md"
MEASURED = REPOSITORY / "bench/calls/costs.py"
PRIMITIVES = {  # rows of bench/primitives, which measures these calls better
    "null": ("null-call", ""),
    "tlb_insert": ("tlb-insert", ""),
    "tlb_insert_bound": ("tlb-insert-bound", ""),
    "tlb_protect": ("tlb-protect", " for one page"),
    "yield_to": ("yield-round-trip", ", there and back"),
    "transfer": ("transfer-round-trip", ", the answer by `transfer_back` included"),
}
REGISTERS = ("rdi", "rsi", "rdx", "r8")
TIMEOUT = 60.0  # seconds of a measurement

INTRODUCTION = """\
# The kernel's interface

*Written by `python -m exokernel.host.interface_document` from `src/exokernel/host/interface.py` and the stubs in
`src/exokernel/exos/aegis.py` and `ash.py`; a test compares it. Do not edit it by hand.*

{conventions}

The costs are instructions from the call site back to it, under `-icount shift=0`, for the case that succeeds; a dash
means that the call does not return or is not measured. They come from `bench/primitives` where it has the call, else
from `bench/calls/costs.py`, which does not count the loading of the arguments. Sections and tables are those of Engler,
Kaashoek and O'Toole, "Exokernel: An Operating System Architecture for Application-Level Resource Management", SOSP 1995.
"""


def name_of(description: Description) -> str:
    """The stub's name."""
    return description.call.name.lower()


def meanings(enumeration: type) -> dict[str, str]:
    """What the source says of each member, in the comment behind it."""
    return dict(re.findall(r"^    ([A-Z_0-9]+) = -?\w+  # (.+)$", inspect.getsource(enumeration), re.MULTILINE))


def stub_of(description: Description) -> Any:
    """The function that makes the call."""
    return getattr(aegis, name_of(description), None) or getattr(ash, name_of(description))


def paragraph(text: str | None) -> str:
    return inspect.cleandoc(text or "")


def conventions() -> str:
    """What abi.py says about calls in general."""
    text = paragraph(abi.__doc__)
    return text[text.index("A call is `syscall`") :]


def section(description: Description, cost: str) -> str:
    """One call."""
    names = ", ".join(argument.name for argument in description.arguments)
    stub = stub_of(description)
    lines = [f"## {description.call.value}: `{name_of(description)}({names})`", "", paragraph(stub.__doc__), ""]
    if description.arguments:
        lines += ["| argument | register | unit |", "|---|---|---|"]
        lines += [
            f"| `{argument.name}` | `{register}` | {argument.unit} |"
            for argument, register in zip(description.arguments, REGISTERS, strict=False)
        ]
        lines.append("")
    errors = ", ".join(f"`{error}`" for error in description.errors) or "none of its own"
    lines += [
        f"- Result: {description.result}",
        f"- Errors: {errors}",
        f"- Needs: {description.rights}",
        f"- Bound: {description.bound}",
        f"- Cost: {cost}",
        f"- Source: {description.source}",
    ]
    return "\n".join(lines) + "\n"


def document(costs: dict[str, str]) -> str:
    """The whole text; `costs` by the stub's name, a dash for those without."""
    descriptions = sorted(INTERFACE, key=lambda description: description.call)
    parts = [INTRODUCTION.format(conventions=conventions())]
    parts += [section(description, costs.get(name_of(description), "-")) for description in descriptions]
    rows = [f"| `{name}` | {abi.Error[name].value} | {what} |" for name, what in meanings(abi.Error).items()]
    parts.append("\n".join(["## Errors", "", "| name | value | meaning |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def stated_costs(text: str) -> dict[str, str]:
    """The costs that a document states."""
    found = re.findall(r"^## \d+: `(\w+)\(.*?^- Cost: (.+?)$", text, re.MULTILINE | re.DOTALL)
    return dict(found)


def measured_costs() -> dict[str, str]:
    """The costs as a booted machine has them now."""
    with tempfile.TemporaryDirectory() as cache:
        image = build([MEASURED], cache=Path(cache))
        with Machine(image.path, Options(icount=True), timeout=TIMEOUT) as machine:
            machine.wait()
            if machine.status != 0:
                raise SystemExit(machine.transcript())
    found = re.findall(r"^(\w+) (\d+)$", machine.console.decode(), re.MULTILINE)
    costs = {name: f"{count} instructions" for name, count in found}
    exhibit = load("primitives", EXHIBITS / "primitives/exhibit.py")
    run = Context("primitives").run(*exhibit.PRIMITIVES)
    for name, (row, remark) in PRIMITIVES.items():
        costs[name] = f"{statistics.median(run.row(row).values):g} instructions{remark}"
    return costs


def main(arguments: list[str]) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m exokernel.host.interface_document", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when the document is not current")
    parser.add_argument("--measure", action="store_true", help="measure the costs anew")
    parsed = parser.parse_args(arguments)
    before = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    text = document(measured_costs() if parsed.measure else stated_costs(before))
    if text == before:
        return 0
    if parsed.check:
        print(f"{DOCUMENT.relative_to(REPOSITORY)} is not current: run python -m exokernel.host.interface_document")
        return 1
    DOCUMENT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
