# SPDX-License-Identifier: MIT
"""A scheduler in a library, in booted machines: shares of real time, clients that sleep or end."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.system.guests import TIMEOUT

from exokernel.host.build import build
from exokernel.host.machine import Machine, Options

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

EXHIBIT = Path(__file__).resolve().parents[2] / "bench/stride/exhibit.py"
APPLICATIONS = Path(__file__).parent / "applications"
TURNS = 600  # of bench/stride/client.py


def exhibit() -> Any:
    specification = importlib.util.spec_from_file_location("exhibit_stride", EXHIBIT)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_three_clients_have_their_shares_of_the_papers_figure() -> None:
    """3:2:1, each within one turn: at most one fewer, and at most (3 - 1) / 2 more (see tests/exos/test_schedule.py)."""
    figure = exhibit()
    counts = figure.counted()
    whole = sum(counts.values())
    for client, share in figure.SHARES.items():
        assert abs(counts[client] - whole * share / 6) <= whole / TURNS


def test_clients_that_sleep_or_end_leave_their_turns_to_the_others() -> None:
    """Client 2 sleeps in the second third of the time and has what it had before afterwards; client 3 ends there. When all
    sleep the scheduler does, and when all have ended it returns.
    """
    image = build([APPLICATIONS / "shared_time.py"] * 4)
    with Machine(image.path, Options(icount=True), timeout=TIMEOUT) as guest:
        guest.wait()
    third = {
        (int(client), int(part)): int(count)
        for client, part, count in re.findall(rb"client (\d) third (\d) (\d+)", guest.console)
    }
    assert guest.console.endswith(b"served\n") and guest.status == 0, guest.transcript()
    alone = third[1, 1]  # client 1 has nobody beside it then: a whole third
    turn = alone / 200
    for part, shares in ((0, {1: 2, 2: 1, 3: 1}), (1, {1: 1}), (2, {1: 2, 2: 1})):
        for client, share in shares.items():
            error = third[client, part] - alone * share / sum(shares.values())
            # Both ends of a third may be off by the bound, and a client that sleeps or ends takes part of a turn along.
            assert abs(error) <= 3 * turn, (client, part, third)
    assert len(third) == 6
