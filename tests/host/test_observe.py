# SPDX-License-Identifier: MIT
"""Traces and profiles are exact: the times in a trace are the guest's own, a profile counts each instruction once, and
the guest does the same as without them.
"""

import gzip
import json
import re
import signal
import socket
import subprocess
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.host.commands import COMMAND, ENVIRONMENT, HELLO, REPOSITORY, Exo, Write

from exokernel.host.build import build
from exokernel.host.machine import Forward, Machine, Options
from exokernel.host.observe import observed
from exokernel.host.profile import Programs, Stacks, folded, stacks
from exokernel.host.trace import LEAVE, Recorded, Writer, read

EXAMPLES = REPOSITORY / "examples"
SYSTEM = REPOSITORY / "tests/system"
NEVER_FULL = 200_000

CLOCK = """
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, noinline, u64


@noinline
def look() -> u64:
    time = read_timestamp()
    aegis.null()
    return time


def main() -> None:
    times = Array[u64, 6]()
    for i in range(6):
        times[i] = look()
        if i % 2:
            aegis.wait(read_timestamp() + 3_000_000)
    for time in times:
        print(time)
"""

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
class Observed:
    """A machine's run, and what was written of it."""

    machine: Machine
    data: bytes
    programs: Programs

    @property
    def recorded(self) -> Recorded:
        return read(self.data)

    def events(self) -> list[dict[str, Any]]:
        return list(Writer(self.recorded, self.programs).all())

    def stacks(self) -> tuple[Stacks, int]:
        found, total, cut = stacks(self.data.decode(), self.programs)
        assert cut == 0
        return found, total


def run(
    folder: Path,
    *applications: Path,
    act: Callable[[Machine], None] | None = None,
    options: Options | None = None,
    **chosen: int,
) -> Observed:
    """Until the machine ends by itself, or `act` has been done."""
    image = build(list(applications))
    output = folder / "observed"
    options = observed(options or Options(icount=True), image, output, **chosen)
    with Machine(image.path, options, timeout=100) as machine:
        if act:
            act(machine)
            machine.stop()
        else:
            machine.wait()
    assert [c for c in machine.complaints if "terminating on signal" not in c] == [], machine.transcript()
    return Observed(machine, output.read_bytes(), Programs(image))


Piece = tuple[int, int, str]


def slices(events: list[dict[str, Any]]) -> dict[tuple[int, int], list[Piece]]:
    """The slices of each track in nanoseconds, what lies around others first."""
    found: dict[tuple[int, int], list[Piece]] = defaultdict(list)
    for e in events:
        if e["ph"] == "X":
            found[e["pid"], e["tid"]].append((round(e["ts"] * 1000), round((e["ts"] + e["dur"]) * 1000), e["name"]))
    return {place: sorted(mine, key=lambda p: (p[0], -p[1])) for place, mine in found.items()}


def check(events: list[dict[str, Any]]) -> dict[tuple[int, int], list[Piece]]:
    """What the viewer wants of a file: known types, times, names of all tracks, slices that nest, whole arrows, each in
    a slice. Returns the slices.
    """
    pieces = slices(events)
    named, tracks, arrows, points = set(), set(), defaultdict(list), defaultdict(list)
    for event in events:
        place = event["pid"], event["tid"]
        if event["ph"] == "M":
            named |= {place} if event["name"] == "thread_name" else set()
            assert event["args"]
            continue
        assert event["ph"] in "Xisf" and event["ts"] >= 0 and event["name"]
        assert event["ph"] != "X" or event["dur"] >= 0
        if event["ph"] in "sf":
            arrows[event["id"]].append(event["ph"])
            points[place].append(round(event["ts"] * 1000))
        tracks.add(place)
    assert tracks <= named
    assert all(ends in (["s"], ["s", "f"]) for ends in arrows.values())
    for place, mine in pieces.items():
        around: list[Piece] = []
        outer = []
        for piece in mine:
            while around and around[-1][1] <= piece[0]:
                around.pop()
            assert not around or piece[1] <= around[-1][1], f"{piece} overlaps {around[-1]}"
            outer += [] if around else [piece]
            around.append(piece)
        for at in points[place]:
            index = bisect_right(outer, at, key=lambda p: p[0]) - 1
            assert index >= 0 and at <= outer[index][1], f"an arrow without a slice at {at} of {place}"
    return pieces


def test_the_times_of_a_trace_are_the_guests_own(tmp_path: Path, application: Write) -> None:
    found = run(tmp_path, application(CLOCK), capacity=NEVER_FULL)
    events = found.events()
    pieces = check(events)
    printed = [int(line) for line in found.machine.console.split()]
    entered = [start for start, _, name in pieces[1, 1] if name == "call null"]
    assert len(printed) == len(entered) == 6
    # From reading the clock to the call it is always as far, through waits of milliseconds in which nothing was executed.
    assert len({entry - time for entry, time in zip(entered, printed, strict=True)}) == 1
    assert printed[-1] - printed[0] > 6_000_000
    assert found.recorded.timed and found.recorded.lost == 0


def test_the_guest_does_the_same_as_without_a_trace(tmp_path: Path, application: Write) -> None:
    path = application(CLOCK)
    traced = run(tmp_path, path, capacity=NEVER_FULL).machine
    profiled = run(tmp_path, path, profile=1).machine
    with Machine(build([path]).path, Options(icount=True)) as plain:
        plain.wait()
    assert b"" != plain.console == traced.console == profiled.console
    assert plain.control == traced.control == profiled.control  # with timestamps of boot and start


def test_the_processor_is_always_somebodys(tmp_path: Path) -> None:
    client = EXAMPLES / "rpc_client.py"
    found = run(tmp_path, EXAMPLES / "rpc_server.py", client, client, capacity=NEVER_FULL)
    events = found.events()
    pieces = check(events)
    whole = pieces[1_000_000, 1_000_000]
    assert all(before[1] == after[0] for before, after in pairwise(whole))
    assert whole[-1][1] == found.recorded.end
    names = {e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    assert names >= {"rpc_server (environment 0)", "rpc_client (environment 1)", "rpc_client-2 (environment 2)", "idle"}
    # Each track's slices are those of the processor's with its name, and the kernel's stays lie within them.
    runs = [p[:2] for process in (1, 2, 3, 65) for p in pieces.get((process, process), []) if p[2] == "runs"]
    assert sorted(runs) == sorted(p[:2] for p in whole)
    calls = Counter(name for process in (2, 3) for _, _, name in pieces[process, process])
    assert calls["call transfer"] >= 2000  # a thousand deposits of each client
    arrows = Counter(e["ph"] for e in events)
    assert arrows["s"] >= arrows["f"] >= 4000


def test_faults_are_told_with_address_and_place(tmp_path: Path) -> None:
    found = run(tmp_path, EXAMPLES / "crash.py", capacity=NEVER_FULL)
    events = found.events()
    check(events)
    faults = [e["name"] for e in events if e["ph"] == "i" and e["name"].startswith("page fault")]
    assert {"page fault 0xffffffff80200000", "page fault 0x0"} <= set(faults)
    places = {e["name"]: e["args"]["at"] for e in events if e["ph"] == "X" and "at" in e.get("args", {})}
    assert places["division error"].startswith("crash.")
    assert {"breakpoint", "general protection fault", "invalid instruction"} <= set(places)


def test_packets_lead_to_whom_they_wake(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def talk(machine: Machine) -> None:
        machine.wait_for(b"Echo on")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            ours.settimeout(20)
            for number in range(3):
                # The ring can be read while it is written: whoever waits for the packet sleeps.
                for _ in range(1000):
                    events = read((tmp_path / "observed").read_bytes()).events
                    if events[-1][1:3] == (LEAVE, 64):
                        break
                    time.sleep(0.01)
                ours.sendto(b"%d" % number, ("127.0.0.1", port))
                assert ours.recv(100) == b"%d" % number

    options = Options(forward=(Forward("udp", port, 7),), extra=("-icount", "shift=0"))
    found = run(tmp_path, EXAMPLES / "echo.py", act=talk, options=options, capacity=NEVER_FULL)
    events = found.events()
    check(events)
    instants = Counter(e["name"] for e in events if e["ph"] == "i")
    assert instants["received"] == instants["delivered"] >= instants["transmitted"] >= 3
    assert instants["event: network"] == instants["received"]
    ends = [e for e in events if e["ph"] == "f" and e["pid"] == 1]
    assert 3 <= len(ends) <= instants["received"]  # an arrow for each that woke it, none for what came while it ran


def test_only_the_last_events_are_kept_and_the_lost_ones_counted(tmp_path: Path, exo: Exo) -> None:
    path = tmp_path / "few.json.gz"
    result = exo("trace", HELLO, "-o", path, "--events", 5, "--icount")
    assert result.returncode == 0, result.stderr
    assert "Hello from environment 0" in result.stdout
    lost = re.search(r"(\d+) older events were lost", result.stderr)
    assert lost, result.stderr
    content = json.loads(gzip.decompress(path.read_bytes()))
    check(content["traceEvents"])
    assert content["otherData"]["lost events"] == int(lost[1]) > 0
    times = [e["ts"] for e in content["traceEvents"] if "ts" in e]
    assert times == sorted(times)
    found = run(tmp_path, HELLO, capacity=NEVER_FULL).recorded
    assert len(found.events) == int(lost[1]) + 5


def test_a_numbers_next_environment_has_a_track_of_its_own(tmp_path: Path) -> None:
    found = run(tmp_path, SYSTEM / "process/cycles.py", capacity=NEVER_FULL)
    events = found.events()
    check(events)
    generations = {e["pid"] for e in events if e["ph"] == "X" and 1 < e["pid"] % 100 < 65}
    assert len(generations) >= 2


def test_three_times_the_work_is_three_times_the_count(tmp_path: Path, application: Write) -> None:
    found = run(tmp_path, application(BURNER), profile=1)
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
    counted, total = run(tmp_path, HELLO, profile=1).stacks()
    written = [s for s in counted if s[0] == "hello (0)" and s[-1] == "console.write_[k]"]
    assert written and all("hello.main" in stack and "calls.call_entry_[k]" in stack for stack in written)
    assert any(stack[:2] == ("kernel", "boot.start_[k]") or "kernel.kernel_start_[k]" in stack for stack in counted)
    assert sum(counted.values()) == total
    lines = list(folded(counted))
    assert all(re.fullmatch(r"[^;]+(;[^;]+)* \d+", line) for line in lines)


def test_a_handler_of_faults_is_counted_where_the_fault_was(tmp_path: Path) -> None:
    counted, _ = run(tmp_path, EXAMPLES / "write_barrier.py", profile=1).stacks()
    functions = Counter({s: n for s, n in counted.items() if s[0].startswith("write_barrier")})
    barrier = {s[: s.index("exceptions.enter")] for s in functions if "write_barrier.barrier" in s}
    assert barrier and all(stack[-1].startswith("write_barrier.") for stack in barrier)
    # When a handler is done, its function goes on: nothing but handlers and the kernel is below `exceptions.enter`.
    below = {f for s in functions if "exceptions.enter" in s for f in s[s.index("exceptions.enter") :]}
    assert not {"write_barrier.make", "write_barrier.collect"} & below


def test_threads_keep_their_stacks_under_preemption(tmp_path: Path) -> None:
    counted, total = run(tmp_path, SYSTEM / "threads/counting.py", profile=1).stacks()
    functions = {s: n for s, n in counted.items() if "counting.count" in s and not s[-1].endswith("_[k]")}
    assert {s[:3] for s in functions} == {("counting (0)", "thread.run", "counting.count")}
    locks = functions["counting (0)", "thread.run", "counting.count", "thread.Mutex.lock"]
    assert locks % (16 * 40_000) == 0  # each of the 16 threads' 40,000 rounds costs the same there
    assert sum(counted.values()) == total


@pytest.mark.parametrize("verb", ["trace", "profile"])
def test_what_cannot_be_observed_is_refused(verb: str, exo: Exo, tmp_path: Path) -> None:
    result = exo(verb, HELLO, "-o", tmp_path / "out", "--accel", "kvm")
    assert result.returncode == 2 and "use --accel tcg" in result.stderr
    result = exo(verb, HELLO, "-o", tmp_path / "out", "--memory", "4096")
    assert result.returncode == 2 and "at most 2048 MiB" in result.stderr
    result = exo(verb, HELLO, "-o", tmp_path / "no folder/out")
    assert result.returncode == 2 and "cannot write" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_profile_goes_to_standard_output_and_shows_the_most(exo: Exo) -> None:
    result = exo("profile", HELLO, "-o", "-", "--icount")
    assert result.returncode == 0, result.stderr
    counts = [int(line.rsplit(" ", 1)[1]) for line in result.stdout.splitlines() if ";" in line]
    total = re.search(r"([\d,]+) instructions", result.stderr)
    assert "itself" in result.stderr and sum(counts) > 100_000
    assert total is None or sum(counts) == int(total[1].replace(",", ""))


@pytest.mark.parametrize("verb", ["trace", "profile"])
def test_what_was_seen_until_an_interrupt_is_written(verb: str, tmp_path: Path, cache: Path) -> None:
    """A server is ended with Ctrl-C."""
    path = tmp_path / "seen"
    command = [*COMMAND, verb, EXAMPLES / "echo.py", "-o", path, "--forward", "udp:0:7", "--timeout", "90"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        command[command.index("udp:0:7")] = f"udp:{free.getsockname()[1]}:7"
    environment = ENVIRONMENT | {"EXO_CACHE": str(cache)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert "Echo on" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) == 128 + signal.SIGINT, said
    if verb == "trace":
        names = {e["name"] for e in json.loads(path.read_text())["traceEvents"]}
        assert {"boot", "call console_write", "runs"} <= names
    else:
        assert "echo (0);start.start;start.begin;echo.main;" in path.read_text()
