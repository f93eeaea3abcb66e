# SPDX-License-Identifier: MIT
"""Frames, mappings and bindings, tried in booted machines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.system.guests import running

from exokernel.host.build import build
from exokernel.machine.boot import SECTIONS_END
from exokernel.machine.paging import KERNEL_BASE, PAGE
from exokernel.metal.linker import PF_W, segments

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


def test_revoke_cooperative_slow_silent_and_malicious() -> None:
    """All lose what was wanted and not more, except what they guaranteed; the cooperative one chooses all of it."""
    # Time is counted in instructions, so deadlines are kept whatever else this computer does.
    with running([APPLICATIONS / "revoked.py"] * 5, icount=True) as guest:
        guest.wait()
        lines = guest.console.decode().splitlines()
        assert [line for line in lines if "lost" not in line] == [
            *(f"{number}: gave 100" for number in (1, 2, 3, 4)),
            "3: slices 1",
            "4: slices 1",
            "done",
        ], guest.transcript()
        assert "1: lost 0, told False, mapped 100" in lines
        assert any(line.startswith("2: lost 75, told True") for line in lines), guest.transcript()
        assert any(line.startswith("3: lost 100, told True") for line in lines), guest.transcript()
        assert guest.status == 0, guest.transcript()


def test_the_kernel_takes_little_memory() -> None:
    """Code and constants below 104 KiB, of which the packet handlers' inspector and translator are some 20 (the limit for
    the rest is 96); tables below 2 % of memory: what is left of the kernel's frames without its image, the bundle, and the first
    MiB with the boot sections behind it, which nobody uses.
    """
    kernel = segments(build([APPLICATIONS / "kept.py"]).kernel.elf)
    assert sum(s.memory_size for s in kernel if not s.flags & PF_W) < 104 << 10
    image = sum(-(-s.memory_size // PAGE) for s in kernel if s.virtual >= KERNEL_BASE)
    for mebibytes in (64, 512):
        with running([APPLICATIONS / "kept.py"], memory=mebibytes) as guest:
            guest.wait()
            kept, frames = map(int, guest.console.split())
            assert 0 < kept - image - SECTIONS_END // PAGE < 0.02 * frames, guest.transcript()
