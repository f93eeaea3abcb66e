# SPDX-License-Identifier: MIT
"""The processor as a resource: slices, upcalls, transfers, floating point, lines, in booted machines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.system.guests import TIMEOUT, running

from exokernel.host.build import build
from exokernel.host.machine import Machine

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

APPLICATIONS = Path(__file__).parent / "applications"


def test_slices_are_claimed_begin_and_end_as_their_owner_wants() -> None:
    """An epilogue that never ends is ended, its state is the prologue's, and its time is paid for."""
    with running([APPLICATIONS / "slices.py"] * 2) as guest:
        guest.wait()
        assert sorted(guest.console.splitlines()) == [
            b"epilogue 1 owes 0",
            b"forced 3 2",
            b"in the loop True",
            b"owes 4",
            b"paid",
            b"prologue 1 entries 0 0",
        ], guest.transcript()
        assert guest.status == 0


def test_the_length_of_a_slice_is_a_boot_option() -> None:
    with Machine(build([APPLICATIONS / "slice_length.py"] * 2, slice_ticks=250_000).path, timeout=TIMEOUT) as guest:
        guest.wait()
        assert guest.console == b"250000 ticks, as long True\n", guest.transcript()


def test_transfers_reach_whom_they_name_and_come_back() -> None:
    """Also when the callee computes for many slices, calls on, ends, or is not there; its own work goes on unharmed."""
    with running([APPLICATIONS / "transfers.py"] * 4) as guest:
        guest.wait()
        assert guest.console == b"done\n", guest.transcript()
        ended = {e.number("environment"): e.number("status") for e in guest.events if e.name == "ended"}
        assert ended == {0: 0, 1: 5, 3: 0}, guest.transcript()


def test_vector_registers_are_kept_for_who_asked_and_refused_to_others() -> None:
    with running([APPLICATIONS / "floating.py"] * 4) as guest:
        guest.wait()
        assert sorted(guest.console.splitlines()) == [
            b"kept 0",
            b"kept 1",
            b"kept 2",
            b"refused 900 seen 0",
        ], guest.transcript()
        assert guest.status == 0


def test_a_line_wakes_its_owner_when_something_is_typed() -> None:
    with running([APPLICATIONS / "typed.py"] * 2) as guest:
        guest.wait_for(b"nothing")
        guest.send(b"one\n")
        guest.wait_for(b"line one")
        guest.send(b"two\nthree\n")
        guest.wait_for(b"line three")
        guest.send(b"end\n")
        guest.wait()
        assert sorted(guest.console.splitlines()) == sorted(
            [
                b"refused -11 -4",
                b"bound 0 -9",
                b"nothing -44",
                b"other -4 -11 -4",
                b"line one",
                b"line two",
                b"line three",
            ]
        ), guest.transcript()


def test_single_steps_and_floating_point_errors_are_the_applications() -> None:
    with running([APPLICATIONS / "stepping.py"]) as guest:
        guest.wait()
        assert guest.console == b"stepped 6 result 15\nlengths 3 5 2 6 3\nfloating point 16\n", guest.transcript()


def test_protection_keys_are_kept_for_who_asked_and_hinder_nobody_else() -> None:
    with running([APPLICATIONS / "keys.py"] * 3) as guest:
        guest.wait()
        assert guest.console == b"done\n" and guest.status == 0, guest.transcript()
