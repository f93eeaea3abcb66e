# SPDX-License-Identifier: MIT
"""gdb on the running machine: breakpoints in Python files, locals, structs, the way from the kernel to its caller."""

import re
import shutil
from pathlib import Path

import pytest
from tests.host.commands import HELLO, Exo, Write

pytestmark = pytest.mark.skipif(not shutil.which("gdb"), reason="gdb is not installed")

APPLICATION = """from exokernel.metal import Array, noinline, struct, u32, u64


@struct
class Point:
    x: u32
    y: u32


points: Array[Point, 2] = Array[Point, 2]([Point(11, 22), Point(33, 44)])


@noinline
def area(width: u64, height: u64) -> u64:
    size = width * height
    move(points[size & 1], size)
    print("area", size, width, height)
    return size


@noinline
def move(point: Point, distance: u64) -> None:
    point.x += u32(distance)
    point.y += 1
    print("moved", point.x)


def main() -> None:
    print(area(6, u64(points[0].y)))
"""


def line_of(text: str, part: str) -> int:
    return 1 + next(number for number, line in enumerate(text.splitlines()) if part in line)


def test_an_application_is_stepped_through(exo: Exo, application: Write, tmp_path: Path) -> None:
    path = application(APPLICATION)
    line = line_of(APPLICATION, "point.y += 1")
    commands = tmp_path / "commands.gdb"
    commands.write_text(
        f"hbreak application.py:{line}\ncontinue\necho [here]\\n\nbacktrace\ninfo args\nprint *point\nprint point->y\n"
        "list\nup\ninfo locals\ncontinue\n"
    )
    run = exo("debug", path, "--batch", commands, "--timeout", "60")
    assert f"application.py:{line}" in run.stdout, run.stdout + run.stderr
    seen = run.stdout[run.stdout.index("[here]") :]
    called, caller = line_of(APPLICATION, "move(points"), line_of(APPLICATION, "print(area(6")
    assert re.search(rf"#0 .*\bmove \(.*distance=132\) at .*application\.py:{line}", seen), seen
    assert re.search(rf"#1 .*\barea \(width=6, .*\) at .*application\.py:{called}", seen)
    assert re.search(rf"#2 .*\bmain \(\) at .*application\.py:{caller}", seen)
    assert "y = 22}" in seen
    assert "= 22\n" in seen
    assert "size = 132" in seen
    assert "@noinline" in seen  # `list` shows the Python file
    assert "moved 143\narea 132 6 22\n132" in run.stderr  # the console, after gdb has left
    assert run.returncode == 0


def test_the_kernels_callers_are_shown(exo: Exo, tmp_path: Path) -> None:
    commands = tmp_path / "commands.gdb"
    commands.write_text(
        "thbreak exokernel.aegis.console.write\ncontinue\nbacktrace\n"
        "echo [exit]\\n\nthbreak exokernel.aegis.ending.exit\ncontinue\nbacktrace\n"
    )
    run = exo("debug", HELLO, "--batch", commands, "--timeout", "60")
    first, second = run.stdout.split("[exit]")
    # A call that returns to its caller, and one after which another environment may run.
    assert re.search(r"#0 .*write \(.*\) at .*aegis/console\.py|#0 .*write \(.*\) at console\.py", first), run.stdout
    assert re.search(r"#1 .* in call_entry \(\) at .*calls\.py", first)
    assert re.search(r"#\d+ .*main \(\) at .*examples/hello\.py:\d+", first)
    assert re.search(r"#0 .*exit \(", second)
    assert re.search(r"#1 .* in handle_saved \(\) at .*calls\.py", second)
    assert re.search(r"#\d+ .* at .*exos/start\.py|#\d+ .* at start\.py|#\d+ .*at .*aegis/abi\.py", second)


def test_every_machine_has_ended_with_gdb(exo: Exo, tmp_path: Path) -> None:
    commands = tmp_path / "commands.gdb"
    commands.write_text("info registers rip\n")
    run = exo("debug", HELLO, "--batch", commands, "--timeout", "60", "-v")
    assert run.returncode == 0
    image = next(word for word in run.stderr.split() if word.endswith(".image.elf"))
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            assert image.encode() not in (folder / "cmdline").read_bytes()
        except OSError:
            continue
