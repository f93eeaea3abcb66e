# SPDX-License-Identifier: MIT
"""Virtual memory in booted machines, with both page tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exokernel.host.build import build
from exokernel.host.machine import Machine, Options

APPLICATIONS = Path(__file__).parent / "vm"
TIMEOUT = 60.0  # seconds of one boot
PAGE = 14  # the page fault's number
TICK = 20_000  # ns
TABLES = ["", "inverted_"]

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


def run(*names: str, memory: int = 64, slice_ticks: int = 0, icount: bool = False) -> Machine:
    """The machine after it ended by itself."""
    image = build([APPLICATIONS / f"{name}.py" for name in names], slice_ticks=slice_ticks)
    with Machine(image.path, Options(memory=memory, icount=icount), timeout=TIMEOUT) as guest:
        guest.wait()
    return guest


@pytest.mark.parametrize("table", TABLES)
def test_everything_once(table: str) -> None:
    guest = run(f"{table}basics")
    assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


@pytest.mark.parametrize("table", TABLES)
def test_copy_on_write_between_two(table: str) -> None:
    guest = run(f"{table}copying", f"{table}copying")
    assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


@pytest.mark.parametrize("table", TABLES)
def test_all_memory_can_be_copied_on_write(table: str) -> None:
    guest = run(f"{table}marked")
    assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


@pytest.mark.parametrize("table", TABLES)
def test_running_out_of_memory_is_an_error_value(table: str) -> None:
    guest = run(f"{table}exhaustion", memory=8)
    assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


def test_starting_without_memory_is_an_error_value() -> None:
    guest = run("starting")
    assert guest.status == 0, guest.transcript()


def test_split_in_a_small_table() -> None:
    guest = run("split_in_a_small_table")
    assert guest.status == 0, guest.transcript()


def test_frames_are_given_back_when_asked_for_and_losses_are_noted() -> None:
    # Deadlines are kept whatever else this computer does; little memory, so that frames come back for other pages.
    guest = run("revoked", "revoked", memory=5, icount=True)
    assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


@pytest.mark.parametrize("ticks", [1, 2, 5, 20])
def test_random_operations(ticks: int) -> None:
    guest = run("stress", "inverted_stress", "stress", slice_ticks=ticks * TICK)
    # Environment 0 ends the machine; the others have begun, and may have come to their end.
    lines = guest.console.decode().splitlines()
    assert "done 0 True" in lines and guest.status == 0, guest.transcript()
    assert all(line in ("done 0 True", "done 1 True", "done 2 True") for line in lines), guest.transcript()


def test_a_fault_in_a_regions_function_ends_the_environment() -> None:
    guest = run("nested_fault")
    assert guest.status == 128 + PAGE, guest.transcript()
    assert guest.console == b"in the handler\n"
    assert any("address=0x30001230" in line for line in guest.control), guest.transcript()
