# SPDX-License-Identifier: MIT
"""Processes in booted machines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exokernel.host.build import build
from exokernel.host.machine import Machine, Options

APPLICATIONS = Path(__file__).parent / "process"
WITNESS = Path(__file__).parent / "applications" / "witness.py"
TIMEOUT = 110.0  # seconds of one boot
SLICES = [100_000, 300_000, 2_000_000]  # ns

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


def run(*paths: Path, memory: int = 64, slice_ticks: int = 0) -> Machine:
    """The machine after it ended by itself."""
    with Machine(build(list(paths), slice_ticks=slice_ticks).path, Options(memory=memory), timeout=TIMEOUT) as guest:
        guest.wait()
    return guest


@pytest.mark.parametrize("slice_ticks", SLICES)
@pytest.mark.parametrize("name", ["families", "inverted_families", "random_ends", "inverted_random_ends"])
def test_processes_under_any_slice(name: str, slice_ticks: int) -> None:
    guest = run(APPLICATIONS / f"{name}.py", slice_ticks=slice_ticks)
    assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


def test_a_thousand_spawns_and_forks_leave_nothing() -> None:
    guest = run(APPLICATIONS / "cycles.py")
    assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


def test_all_environments_are_processes() -> None:
    guest = run(APPLICATIONS / "crowd.py")
    assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


def test_without_memory_there_is_an_error_and_nothing_lost() -> None:
    guest = run(APPLICATIONS / "starved.py")
    assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


def test_a_frame_is_inherited_where_its_owner_wanted_it() -> None:
    guest = run(APPLICATIONS / "heirs.py")
    assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


def test_who_has_threads_does_not_fork() -> None:
    guest = run(APPLICATIONS / "threaded.py")
    assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


def test_an_unfinished_line_is_printed_once() -> None:
    guest = run(APPLICATIONS / "printing.py")
    assert guest.console == b"before child parent -7\n" and guest.status == 0, guest.transcript()


def test_nonsense_in_a_table_harms_no_stranger() -> None:
    guest = run(WITNESS, APPLICATIONS / "hostile.py")
    assert guest.console.startswith(b"others 0 ") and guest.status == 0, guest.transcript()
    assert not any("panic" in line for line in guest.control), guest.transcript()
