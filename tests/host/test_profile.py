# SPDX-License-Identifier: MIT
"""Profiles are exact: each instruction is counted once, and the guest does the same as without it."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.host.commands import HELLO, REPOSITORY, Exo, Write, interrupt_echo

from exokernel.host.build import build
from exokernel.host.machine import Machine, Options
from exokernel.host.profile import Programs, Stacks, folded, stacks
from exokernel.host.profile_plugin import with_plugin

EXAMPLES = REPOSITORY / "examples"
SYSTEM = REPOSITORY / "tests/system"

BURNER = """
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import inline, noinline, u64, volatile_store, addr

sink: u64 = 0


@inline
def step(value: u64) -> u64:
    volatile_store(addr(sink), value)
    return value * 3 + 1


@noinline
def burn(rounds: u64) -> u64:
    value: u64 = 0
    for _ in range(rounds):
        value = step(value)
    return value


@noinline
def once() -> u64:
    return burn(1000) + 1


@noinline
def thrice() -> u64:
    return burn(3000) + 1


@noinline
def down(depth: u64) -> u64:
    return 0 if depth == 0 else down(depth - 1) + burn(10)


def main() -> None:
    start = read_timestamp()
    first = once()
    middle = read_timestamp()
    second = thrice()
    end = read_timestamp()
    print(middle - start, end - middle)
    print(first + second + down(5))
"""


@dataclass
class Profiled:
    """A machine's run, and what was written of it."""

    machine: Machine
    data: bytes
    programs: Programs

    def stacks(self) -> tuple[Stacks, int]:
        found, total, cut = stacks(self.data.decode(), self.programs)
        assert cut == 0
        return found, total


def run(folder: Path, *applications: Path) -> Profiled:
    """Until the machine ends by itself."""
    image = build(list(applications))
    output = folder / "counted"
    with Machine(image.path, with_plugin(Options(icount=True), image, output), timeout=100) as machine:
        machine.wait()
    assert machine.complaints == [], machine.transcript()
    return Profiled(machine, output.read_bytes(), Programs(image))


def test_the_guest_does_the_same_as_without_a_profile(tmp_path: Path, application: Write) -> None:
    path = application(BURNER)
    profiled = run(tmp_path, path).machine
    with Machine(build([path]).path, Options(icount=True)) as plain:
        plain.wait()
    assert b"" != plain.console == profiled.console
    assert plain.control == profiled.control  # with timestamps of boot and start


def test_three_times_the_work_is_three_times_the_count(tmp_path: Path, application: Write) -> None:
    found = run(tmp_path, application(BURNER))
    counted, total = found.stacks()
    root = ("application (0)", "start.start", "start.begin", "application.main")
    by = {
        name: Counter({s[len(root) + 1 :]: n for s, n in counted.items() if s[: len(root) + 1] == (*root, f"application.{name}")})
        for name in ("once", "thrice", "down")
    }  # fmt: skip
    loop = ("application.burn", "application.step")  # the inner one is inlined, and told apart all the same
    assert by["thrice"][loop] - 1 == 3 * (by["once"][loop] - 1) >= 6000  # one instruction comes before the loop
    # What the guest measures by its clock is what is counted, but for what is always there.
    once, thrice = map(int, found.machine.console.split()[:2])
    assert thrice - once == by["thrice"].total() - by["once"].total()
    assert sum(counted.values()) == total
    # Recursion is a stack of its own at each depth.
    deepest = max(len(stack) for stack in by["down"])
    assert ("application.down",) * 5 in {s for s in by["down"] if len(s) == 5}
    assert deepest == 4 + 2


def test_a_profile_counts_calls_of_the_kernel_where_they_are_made(tmp_path: Path) -> None:
    counted, total = run(tmp_path, HELLO).stacks()
    written = [s for s in counted if s[0] == "hello (0)" and s[-1] == "console.write_[k]"]
    assert written and all("hello.main" in stack and "calls.call_entry_[k]" in stack for stack in written)
    assert any(stack[:2] == ("kernel", "boot.start_[k]") or "kernel.kernel_start_[k]" in stack for stack in counted)
    assert sum(counted.values()) == total
    lines = list(folded(counted))
    assert all(re.fullmatch(r"[^;]+(;[^;]+)* \d+", line) for line in lines)


def test_a_handler_of_faults_is_counted_where_the_fault_was(tmp_path: Path) -> None:
    counted, _ = run(tmp_path, EXAMPLES / "write_barrier.py").stacks()
    functions = Counter({s: n for s, n in counted.items() if s[0].startswith("write_barrier")})
    barrier = {s[: s.index("exceptions.enter")] for s in functions if "write_barrier.barrier" in s}
    assert barrier and all(stack[-1].startswith("write_barrier.") for stack in barrier)
    # When a handler is done, its function goes on: nothing but handlers and the kernel is below `exceptions.enter`.
    below = {f for s in functions if "exceptions.enter" in s for f in s[s.index("exceptions.enter") :]}
    assert not {"write_barrier.make", "write_barrier.collect"} & below


def test_threads_keep_their_stacks_under_preemption(tmp_path: Path) -> None:
    counted, total = run(tmp_path, SYSTEM / "threads/counting.py").stacks()
    functions = {s: n for s, n in counted.items() if "counting.count" in s and not s[-1].endswith("_[k]")}
    assert {s[:3] for s in functions} == {("counting (0)", "thread.run", "counting.count")}
    locks = functions["counting (0)", "thread.run", "counting.count", "thread.Mutex.lock"]
    assert locks % (16 * 40_000) == 0  # each of the 16 threads' 40,000 rounds costs the same there
    assert sum(counted.values()) == total


def test_what_cannot_be_profiled_is_refused(exo: Exo, tmp_path: Path) -> None:
    result = exo("profile", HELLO, "-o", tmp_path / "out", "--accel", "kvm")
    assert result.returncode == 2 and "use --accel tcg" in result.stderr
    result = exo("profile", HELLO, "-o", tmp_path / "out", "--memory", "4096")
    assert result.returncode == 2 and "at most 2048 MiB" in result.stderr
    result = exo("profile", HELLO, "-o", tmp_path / "no folder/out")
    assert result.returncode == 2 and "cannot write" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_profile_goes_to_standard_output_and_shows_the_most(exo: Exo) -> None:
    result = exo("profile", HELLO, "-o", "-", "--icount")
    assert result.returncode == 0, result.stderr
    counts = [int(line.rsplit(" ", 1)[1]) for line in result.stdout.splitlines() if ";" in line]
    total = re.search(r"([\d,]+) instructions", result.stderr)
    assert "itself" in result.stderr and sum(counts) > 100_000
    assert total is None or sum(counts) == int(total[1].replace(",", ""))


def test_what_was_seen_until_an_interrupt_is_written(tmp_path: Path, cache: Path) -> None:
    """A server is ended with Ctrl-C."""
    path = tmp_path / "seen"
    interrupt_echo("profile", path, cache)
    assert "echo (0);start.start;start.begin;echo.main;" in path.read_text()
