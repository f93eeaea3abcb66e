# SPDX-License-Identifier: MIT
"""A million generated handlers do the same translated and interpreted.

`programs` counts those compared: outcome, r0 (into which all registers are folded), memory, reason and place must agree,
and what is mapped below the data must stay as it was; a single difference is no figure but an error naming its seed.
`returned`, `aborted` and `refused` are what became of them. This takes minutes of all processors; in a run of all exhibits
it is a tenth.
"""

import ctypes
import functools
import os
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from exokernel.aegis.inspection import Profile
from exokernel.aegis.translation import DATA_END
from exokernel.host.ash_generator import Generator
from exokernel.host.ash_machine import HandlerMachine
from exokernel.host.exhibit import Context, Figure

PROGRAMS = 1_000_000
SHARE = 10_000
FIRST = 1 << 32  # not the seeds of the tests
BELOW = 4096


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    programs, share = context.campaign(PROGRAMS)
    started = time.perf_counter()
    workers = len(os.sched_getaffinity(0))
    totals = [0, 0, 0]
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        try:
            for found in pool.map(compare, range(FIRST, FIRST + programs, SHARE)):
                totals = [a + b for a, b in zip(totals, found, strict=True)]
        except BaseException:  # whoever ends us does not want to wait for the rest
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    seconds = time.perf_counter() - started
    yield context.figure("programs", "count", [programs], variant=share)
    for row, number in zip(("returned", "aborted", "refused"), totals, strict=True):
        yield context.figure(row, "count", [number])
    yield context.figure("programs", "per-second", [programs / seconds])


@functools.cache
def this_machine() -> HandlerMachine:
    """One in each process."""
    return HandlerMachine()


def compare(first: int) -> list[int]:
    """A share of the programs; how many returned, were aborted, were refused."""
    machine = this_machine()
    counts = {"returned": 0, "aborted": 0, "refused": 0}
    for seed in range(first, first + SHARE):
        case = Generator(seed).case()
        below = machine.window + DATA_END - len(case.data) - BELOW
        ctypes.memset(below, 0x5E, BELOW)
        translated = machine.run(case.program, Profile.MEMORY, case.data, case.budget)
        if ctypes.string_at(below, BELOW) != b"\x5e" * BELOW:
            raise ValueError(f"seed {seed}: memory below the data was written")
        interpreted = machine.run(case.program, Profile.MEMORY, case.data, case.budget, interpret=True)
        if translated != interpreted:
            raise ValueError(f"seed {seed}: translated {translated}, interpreted {interpreted}")
        counts[translated.outcome] += 1
    return list(counts.values())
