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


@pytest.mark.parametrize("slice_ticks", SLICES)
@pytest.mark.parametrize("memory", [8, 64])
def test_capabilities_reach_whom_they_are_for(slice_ticks: int, memory: int) -> None:
    """Nobody else; sharing ends from either side; out of memory is an answer."""
    guest = run("meeting", "meeting", "meeting", slice_ticks=slice_ticks, memory=memory)
    assert guest.console == b"done\n", guest.transcript()
    assert all(e.number("status") == 0 for e in guest.events if e.name == "ended"), guest.transcript()


@pytest.mark.parametrize("slice_ticks", SLICES)
def test_a_partner_that_ends_anywhere_is_an_error(slice_ticks: int) -> None:
    guest = run(*["deaths"] * 24, slice_ticks=slice_ticks)
    assert guest.console == b"survived 5 6 6 6\n", guest.transcript()
    assert all(e.number("status") == 0 for e in guest.events if e.name == "ended"), guest.transcript()


@pytest.mark.parametrize("slice_ticks", SLICES)
def test_nonsense_in_a_ring_is_an_answer(slice_ticks: int) -> None:
    guest = run("hostile", "hostile", "hostile", slice_ticks=slice_ticks)
    assert guest.console == b"read True True\nwritten True True\n", guest.transcript()
    assert all(e.number("status") == 0 for e in guest.events if e.name == "ended"), guest.transcript()


@pytest.mark.parametrize("slice_ticks", SLICES)
def test_methods_are_called_in_other_address_spaces(slice_ticks: int) -> None:
    """With arguments of all kinds; wrong numbers are refused; a server calls others while it does so on its own."""
    guest = run("calls", "calls", "calls", "calls", slice_ticks=slice_ticks)
    assert guest.console == b"done\n", guest.transcript()
    assert guest.status == 0, guest.transcript()


def test_registers_are_safe_from_a_partner_that_is_not_trusted() -> None:
    """Those of the client from a server that destroys them, and what both keep secret from each other."""
    guest = run(*["liar"] * 4, slice_ticks=SLICES[0])
    assert guest.console == b"done\n", guest.transcript()


@pytest.mark.parametrize("slice_ticks", SLICES)
def test_a_reader_that_closes_breaks_the_pipe_at_once(slice_ticks: int) -> None:
    guest = run("broken", "broken", slice_ticks=slice_ticks)
    assert guest.console == b"done\n", guest.transcript()
