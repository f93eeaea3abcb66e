# SPDX-License-Identifier: MIT
"""Ten of the kernel's and the library's own hot paths against the same in C: instructions executed.

The product's functions are imported into an application, paths.py, which calls them and their twins of paths.c with the same
inputs, in a booted machine under `-icount shift=0`, where the time-stamp counter counts instructions exactly; a second run
would show the same. C is what gcc and clang make at -O2 without vector registers, and checks no bounds; systems `gcc` and
`clang`. A row's `ratio` is ours over the better of both; `median` is the median of the ten. Results must be equal, or there
is no figure.

The paths were found by `exo profile` under load (web server, key-value server, pipes, processes, schedulers). Some of the
hottest are not here: mappings, claims, switches and transfers are assembly already, and what works on page tables or
frames at the kernel's addresses (`receiving.deliver`, `tlb.insert_batch`) cannot be called by an application. Of TCP only the
check of a segment is here: a twin of all of `tcp` would be a second stack.
"""

import re
import shutil
import statistics
import tempfile
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.build import build
from exokernel.host.exhibit import Context, Figure
from exokernel.host.machine import Machine, Options

APPLICATION = Path(__file__).with_name("paths.py")
TIMEOUT = 60.0  # seconds of the whole run
PATHS = (  # in the order of paths.py
    "frames.move", "filter.classify", "capability.mac_of", "processor.next_slice", "segment.check", "http.parse",
    "resp.parse", "pipe.write-read", "blocks.take-give_back", "schedule.choose",
)  # fmt: skip
SYSTEMS = ("exos", *(name for name in ("gcc", "clang") if shutil.which(name)))


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    ratios = []
    for path, measured in measure().items():
        results = {result for _, result in measured.values()}
        if len(results) != 1 or len(measured) < 2:
            raise ValueError(f"{path}: not one result of ours and C: {measured}")
        for system, (instructions, _) in measured.items():
            yield context.figure(path, "instructions", [instructions], system=system)
        best = min(instructions for system, (instructions, _) in measured.items() if system != "exos")
        ratios.append(measured["exos"][0] / best)
        yield context.figure(path, "ratio", [ratios[-1]])
    yield context.figure("median", "ratio", [statistics.median(ratios)])


def measure() -> dict[str, dict[str, tuple[int, int]]]:
    """Instructions and result by path and system. The C file is no source the build knows, so nothing is cached."""
    with tempfile.TemporaryDirectory() as cache:
        image = build([APPLICATION], cache=Path(cache))
        with Machine(image.path, Options(icount=True), timeout=TIMEOUT) as machine:
            machine.wait()
            if machine.status != 0:
                raise ValueError(f"{APPLICATION.name} failed\n{machine.transcript()}")
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for line in re.findall(r"^(\d+) (\d+) (\d+) (\d+)$", machine.console.decode(), re.MULTILINE):
        path, system, count, result = map(int, line)
        found.setdefault(PATHS[path], {})[SYSTEMS[system]] = count, result
    if list(found) != list(PATHS):
        raise ValueError(f"measured {list(found)}")
    return found
