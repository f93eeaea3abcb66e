# SPDX-License-Identifier: MIT
"""What `./exo bench ash --wall` measures from outside, without looking at the time."""

import shutil

import pytest

from exokernel.host.exhibit import EXHIBITS, load

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

FOLDER = EXHIBITS / "ash"
LATENCY = load("latency", FOLDER / "latency.py")


@pytest.mark.parametrize("application", ["echo_library.py", "echo_polling.py"])
def test_every_message_is_counted_up_beside_processes_that_compute(application: str) -> None:
    times = LATENCY.latency(FOLDER / application, processes=4, samples=20)
    assert len(times) == 20 and min(times) > 0


def test_the_floor_counts_too() -> None:
    assert len(LATENCY.floor(20)) == 20


def test_who_does_not_count_is_noticed() -> None:
    """The plain echo gives the counter back as it was."""
    with pytest.raises(ValueError, match="was counted up to"):
        LATENCY.latency(EXHIBITS.parent / "examples/echo.py", processes=1, samples=1, ready=b"Echo on UDP")
