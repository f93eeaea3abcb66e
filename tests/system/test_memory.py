# SPDX-License-Identifier: MIT
"""Frames, mappings and bindings, tried in booted machines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.system.guests import running

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

APPLICATIONS = Path(__file__).parent / "applications"


def test_frames_and_mappings_do_what_the_interface_says() -> None:
    with running([APPLICATIONS / "memory.py"]) as guest:
        guest.wait()
        assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


def test_a_frame_is_shared_by_capability_until_it_is_broken() -> None:
    with running([APPLICATIONS / "sharing.py"] * 2) as guest:
        guest.wait()
        assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


def test_environments_are_made_and_return_ten_thousand_times() -> None:
    with running([APPLICATIONS / "children.py"]) as guest:
        guest.wait()
        assert guest.console == b"done\n" and guest.status == 0, guest.transcript()
