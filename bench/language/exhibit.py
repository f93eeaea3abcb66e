# SPDX-License-Identifier: MIT
"""Ten kernels in the dialect against the same in C: instructions executed.

Both are parts of one application, kernels.py, and run one after the other in a booted machine under `-icount shift=0`,
where the time-stamp counter counts instructions exactly; a second run would show the same. C is what gcc makes of
kernels.c at -O2 without vector registers, and checks no bounds. A row's `ratio` is ours over C's; `median` is the
median of the ten. Results must be equal, or there is no figure.
"""

import statistics
import tempfile
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.build import build
from exokernel.host.exhibit import Context, Figure
from exokernel.host.machine import Machine, measured

KERNELS = Path(__file__).with_name("kernels.py")
TIMEOUT = 30.0  # seconds of the whole run


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    measured = measure()
    ratios = []
    for kernel in dict.fromkeys(kernel for kernel, _ in measured):
        (ours, result), (theirs, wanted) = measured[kernel, "exos"], measured[kernel, "c"]
        if result != wanted:
            raise ValueError(f"{kernel}: the dialect computes {result}, C {wanted}")
        ratios.append(ours / theirs)
        yield context.figure(kernel, "instructions", [ours])
        yield context.figure(kernel, "instructions", [theirs], system="c")
        yield context.figure(kernel, "ratio", [ratios[-1]])
    yield context.figure("median", "ratio", [statistics.median(ratios)])


def measure() -> dict[tuple[str, str], tuple[int, int]]:
    """Instructions and result by kernel and system. The C file is no source the build knows, so nothing is cached."""
    with tempfile.TemporaryDirectory() as cache:
        image = build([KERNELS], cache=Path(cache))
        with Machine(image.path, measured(icount=True), timeout=TIMEOUT) as machine:
            machine.wait()
            lines = bytes(machine.console).decode().splitlines()
    found = [line.split() for line in lines]
    return {(kernel, system): (int(count), int(result)) for kernel, system, count, result in found}
