# SPDX-License-Identifier: MIT
"""Communication between environments, in booted machines: pipes, shared memory, remote procedure calls; with partners
that are interrupted anywhere, end anywhere, or write nonsense.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.system.guests import TIMEOUT

from exokernel.host.build import build
from exokernel.host.machine import Machine, Options

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

IPC = Path(__file__).parent / "ipc"
SLICES = (100_000, 370_000, 2_000_000)  # nanoseconds


def run(*names: str, slice_ticks: int = 0, memory: int = 64) -> Machine:
    """The machine after it ended by itself."""
    image = build([IPC / f"{name}.py" for name in names], slice_ticks=slice_ticks)
    with Machine(image.path, Options(memory=memory), timeout=TIMEOUT) as guest:
        guest.wait()
    return guest


@pytest.mark.parametrize("slice_ticks", SLICES)
@pytest.mark.parametrize("pairs", [1, 3])
def test_messages_of_all_sizes_arrive(pairs: int, slice_ticks: int) -> None:
    guest = run(*["stream"] * 2 * pairs, slice_ticks=slice_ticks)
    assert sorted(guest.console.splitlines()) == [b"done %d" % i for i in range(2 * pairs)], guest.transcript()
    assert guest.status == 0, guest.transcript()
