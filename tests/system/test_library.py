# SPDX-License-Identifier: MIT
"""The library's first floor in booted machines: start and exit, console, heap, exceptions."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from tests.system.guests import running

from exokernel.host.machine import Machine

LIBRARY = Path(__file__).parent / "library"
UNDEFINED, PAGE = 6, 14  # exception numbers; a trap of the language is an undefined instruction

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


def run(*names: str, memory: int = 64) -> Machine:
    """The machine after it ended by itself."""
    with running([LIBRARY / f"{name}.py" for name in names], memory=memory) as guest:
        guest.wait()
    return guest


@pytest.mark.parametrize(("name", "status"), [("returns_seven", 7), ("returns_true", 1), ("talker", 0)])
def test_the_result_of_main_is_the_status(name: str, status: int) -> None:
    assert run(name).status == status


def test_text_without_an_end_is_written_at_the_end() -> None:
    assert run("returns_seven").console == b"no end of line"


def test_lines_of_two_environments_stay_whole() -> None:
    guest = run("talker", "talker", "talker")
    lines = Counter(guest.console.splitlines())
    expected = Counter(b"<%d %d>" % (me, i) for me in range(3) for i in range(200))
    whole = Counter({line: count for line, count in lines.items() if line.startswith(b"<")})
    assert whole == expected, guest.transcript()


def test_a_long_line_is_written_whole() -> None:
    assert run("talker").console.endswith(b"\n" + b"0123456789" * 150 + b"\n")


@pytest.mark.parametrize("memory", [8, 64])
def test_heap(memory: int) -> None:
    guest = run("heap_use", memory=memory)
    assert guest.status == 0, guest.transcript()
    pages = int(guest.console.split()[0])
    assert 400 < pages <= 2048, "bounded by the machine's memory, or by the arena"


@pytest.mark.parametrize("name", ["heap_release_twice", "heap_release_foreign"])
def test_misuse_of_the_heap_traps(name: str) -> None:
    guest = run(name)
    assert guest.status == 128 + UNDEFINED, guest.transcript()
    assert b"not reached" not in guest.console


def test_handlers() -> None:
    guest = run("handlers")
    assert guest.status == 0, guest.transcript()
    assert guest.console == b"done\n"


def test_a_fault_in_a_handler_ends_the_environment() -> None:
    guest = run("handler_faults")
    assert guest.status == 128 + PAGE, guest.transcript()
    assert guest.console == b"in the handler\n"


def test_a_stack_overflow_has_a_handler() -> None:
    guest = run("stack_overflow")
    assert guest.status == 128 + PAGE, guest.transcript()
    assert guest.console == b"fault in the guard page: True\n"
