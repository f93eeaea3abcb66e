# SPDX-License-Identifier: MIT
"""How long the tool takes before QEMU starts: everything compiled, and nothing changed.

`full` is `./exo build examples/echo.py` as a process, with an empty cache; `incremental` is the same again, unchanged.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from exokernel.host.build import REPOSITORY
from exokernel.host.exhibit import Context, Figure

TIMEOUT = 120


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    full, incremental = [], []
    for _ in range(min(context.runs, 5)):
        with tempfile.TemporaryDirectory() as folder:
            full.append(timed_build(Path(folder)))
            incremental.append(timed_build(Path(folder)))
    yield context.figure("full", "ns", full)
    yield context.figure("incremental", "ns", incremental)


def timed_build(cache: Path) -> int:
    """One build in nanoseconds, Python's start included."""
    command = [sys.executable, "-P", "-m", "exokernel.host.cli", "build", str(REPOSITORY / "examples/echo.py")]
    started = time.monotonic_ns()
    subprocess.run(
        [*command, "-o", str(cache / "echo.elf")],
        env=os.environ | {"EXO_CACHE": str(cache)},
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=TIMEOUT,
    )
    return time.monotonic_ns() - started
