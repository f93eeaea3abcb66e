# SPDX-License-Identifier: MIT
"""Threads inside one environment, in booted machines. Where `icount` is on, an instruction takes a nanosecond, so that a
slice ends after each number of instructions once: between any two of a switch.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tests.system.guests import TIMEOUT, running

from exokernel.host.build import build
from exokernel.host.machine import Machine, Options

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

APPLICATIONS = Path(__file__).parent / "threads"
SLICES = [100_000, 170_003, 1_000_000, 2_000_000]  # nanoseconds
UNDEFINED, PAGE = 6, 14  # exception numbers; a trap of the language is an undefined instruction


def run(*names: str, slice_ticks: int = 0, icount: bool = False, memory: int = 64) -> Machine:
    """The machine after it ended by itself."""
    image = build([APPLICATIONS / f"{name}.py" for name in names], slice_ticks=slice_ticks)
    with Machine(image.path, Options(icount=icount, memory=memory), timeout=TIMEOUT) as guest:
        guest.wait()
    return guest


@pytest.mark.parametrize(("slice_ticks", "icount"), [*((n, False) for n in SLICES), (10_007, True), (10_039, True)])
def test_threads_count_under_preemption(slice_ticks: int, icount: bool) -> None:
    guest = run("counting", slice_ticks=slice_ticks, icount=icount)
    counted, turns = guest.console.splitlines()
    assert counted == b"counted 640000 640000 360", guest.transcript()
    assert int(turns.split()[1]) > 16
    assert guest.status == 0


@pytest.mark.parametrize(("slice_ticks", "icount"), [*((n, False) for n in SLICES), (10_007, True), (100_003, True)])
def test_registers_and_flags_survive_preemption(slice_ticks: int, icount: bool) -> None:
    """The pattern is checked sixty times in each of six threads, which never give the processor away."""
    guest = run("registers", slice_ticks=slice_ticks, icount=icount)
    found = re.fullmatch(rb"changed 0 turns (\d+)\n", guest.console)
    assert found, guest.transcript()
    assert int(found[1]) > 6, "each ran more than once"


@pytest.mark.parametrize(("slice_ticks", "icount"), [*((n, False) for n in SLICES), (10_007, True)])
def test_producers_and_consumers(slice_ticks: int, icount: bool) -> None:
    guest = run("channel", slice_ticks=slice_ticks, icount=icount)
    found = re.fullmatch(
        rb"conditions 71994000 at most \d\nsemaphores 71994000 at most 5 out of order 0\n", guest.console
    )
    assert found, guest.transcript()
    assert guest.status == 0


@pytest.mark.parametrize("slice_ticks", SLICES)
def test_threads_come_and_go_and_their_memory_comes_back(slice_ticks: int) -> None:
    guest = run("lives", slice_ticks=slice_ticks)
    assert guest.console == b"wrong 0 new handles True\nlost 0\nthreads 64 then True\nagain 3\n", guest.transcript()


def test_no_memory_for_a_stack_is_an_answer() -> None:
    guest = run("no_memory", memory=8)
    assert guest.console == b"same True some True lost 0\n", guest.transcript()
    assert guest.status == 0


@pytest.mark.parametrize(("slice_ticks", "icount"), [*((n, False) for n in SLICES), (10_007, True), (20_011, True)])
def test_threads_fault_print_and_allocate_under_preemption(slice_ticks: int, icount: bool) -> None:
    """The handler of exceptions has one stack and one frame; the console one line; the heap one book."""
    guest = run("faults", slice_ticks=slice_ticks, icount=icount)
    *printed, last = guest.console.splitlines()
    assert last == b"wrong 0", guest.transcript()
    assert len(b"".join(printed)) == 8 * 16 * 3
    assert guest.status == 0


@pytest.mark.parametrize("slice_ticks", SLICES)
def test_floating_point_registers_of_threads_that_asked_are_theirs(slice_ticks: int) -> None:
    guest = run("floating", slice_ticks=slice_ticks)
    assert guest.console == b"wrong 0 destroyed 1\n", guest.transcript()


def test_threads_sleep_and_are_woken_by_time_and_events() -> None:
    with running([APPLICATIONS / "sleepers.py"]) as guest:
        guest.wait_for(b"ready")
        guest.send(b"x")
        guest.wait()
        assert guest.console.splitlines() == [
            b"order 7 6 5 4 3 2 1 0 early 0",
            b"ready",
            b"typed 120 256",
            b"nothing 0 in time True",
        ], guest.transcript()


@pytest.mark.parametrize("name", ["unlock_foreign", "lock_twice", "destroy_held", "join_twice"])
def test_misuse_traps(name: str) -> None:
    guest = run(name)
    assert guest.status == 128 + UNDEFINED, guest.transcript()
    assert guest.console == b""


def test_a_deadlock_ends_the_environment_with_a_message() -> None:
    guest = run("deadlock")
    assert guest.console == b"deadlock: every thread waits for another one\n", guest.transcript()
    assert guest.status == 128 + UNDEFINED


def test_a_stack_overflow_meets_the_guard_page() -> None:
    """The first access below the stack's lowest page faults, and the kernel reports it."""
    guest = run("overflow")
    assert guest.status == 128 + PAGE, guest.transcript()
    ended = guest.wait_for_event("ended")
    assert ended.number("address") == 0x1E00_0000 + 2 * 64 * 4096 - 2 * 4096 - 8, guest.transcript()


def test_a_slice_may_end_between_any_two_instructions() -> None:
    guest = run("sweep", slice_ticks=10_007, icount=True)
    found = re.fullmatch(rb"wrong 0 late 0 handled (\d+)\n", guest.console)
    assert found, guest.transcript()
    assert int(found[1]) > 2 * 1200


def test_what_threads_print_is_neither_lost_nor_doubled() -> None:
    guest = run("printing", slice_ticks=10_007, icount=True)
    assert [guest.console.count(letter) for letter in b"abcdefghij"] == [12_000] * 10, guest.transcript()
    assert len(guest.console) == 120_000


def test_who_is_in_a_handler_at_the_end_of_a_slice_gives_way_after_it() -> None:
    guest = run("long_handler", slice_ticks=10_007, icount=True)
    turns = int(guest.console.split()[1])
    assert turns >= 45, "one after each of the 50 faults; a turn that is itself interrupted counts half"


@pytest.mark.parametrize(("slice_ticks", "icount"), [*((n, False) for n in SLICES), (10_007, True)])
def test_threads_of_clients_of_a_scheduler_are_switched_at_the_end_of_slices(slice_ticks: int, icount: bool) -> None:
    guest = run("client", "client", "client", slice_ticks=slice_ticks, icount=icount)
    turns = [int(n) for n in re.findall(rb"changed 0 turns (\d+)", guest.console)]
    assert len(turns) == 2 and min(turns) > 6, guest.transcript()
    assert guest.console.count(b"counted 640000 640000 360\n") == 2, guest.transcript()
    assert guest.console.endswith(b"served 0\n")


def test_a_slice_of_a_client_may_end_between_any_two_instructions() -> None:
    guest = run("client_sweep", "client_sweep", slice_ticks=10_007, icount=True)
    assert re.match(rb"wrong 0 late 0 handled \d+\nserved 0\n", guest.console), guest.transcript()


def test_the_debt_of_an_epilogue_without_slices_is_paid() -> None:
    """By whoever gave it the processor. Otherwise the kernel would ask no more after four ticks, and turns would not end:
    seen on a busy computer.
    """
    guest = run("debtor", "debtor", slice_ticks=10_007, icount=True)
    assert guest.console == b"own debt 0 slices 0 turns True\n", guest.transcript()
