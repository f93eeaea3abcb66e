# SPDX-License-Identifier: MIT
"""What a trace of a real machine contains, what its reader does when the kernel is faster, and that the ordinary kernel
has nothing of it.
"""

import ast
import gzip
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.host.commands import ENVIRONMENT, HELLO, REPOSITORY, Exo, Write, interrupt_echo

from exokernel.aegis.abi import Event, EventCounts, NetworkStatistics, SystemPage
from exokernel.aegis.trace_abi import TRACE_FRAMES, TRACE_RECORDS_PER_FRAME, TraceCause, TraceCounter, TraceKind
from exokernel.host.build import build
from exokernel.host.machine import Forward, Machine, Options, qemu_command
from exokernel.host.profile import Programs
from exokernel.host.trace import Writer
from exokernel.host.trace_ring import RECORD, RECORD_BYTES, Follower, Reader, Recorded, system_page
from exokernel.metal import offsetof
from exokernel.metal.linker import segments

EXAMPLES = REPOSITORY / "examples"
SYSTEM = REPOSITORY / "tests/system"
CAPACITY = TRACE_FRAMES * TRACE_RECORDS_PER_FRAME
EVERYTHING = 10 * CAPACITY

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


READING = """
from exokernel.aegis.abi import ANY, Call, Right
from exokernel.aegis.trace_abi import TRACE_RECORDS_PER_FRAME, TraceCause, TraceKind, TraceRecord
from exokernel.exos import aegis
from exokernel.metal import Ptr, u64

PAGE = 0x10000


def main() -> None:
    page = aegis.system_page()
    print(page.trace_frames, "frames")
    if page.trace_frames == 0:
        return
    print("node", aegis.tlb_node(PAGE, u64(aegis.frame_claim(ANY))))
    print("write", aegis.tlb_insert(PAGE, page.trace_frame, Right.WRITE))
    print("read", aegis.tlb_insert(PAGE, page.trace_frame, Right.READ))
    before = page.trace_written
    for _ in range(3):
        aegis.null()
    ring = Ptr[TraceRecord](PAGE << 12)
    nulls: u64 = 0
    for number in range(before, page.trace_written):
        record = (ring + number % TRACE_RECORDS_PER_FRAME)[0]
        nulls += u64(record.kind == TraceKind.ENTER and record.detail == TraceCause.CALL + Call.NULL)
    print(nulls, "null calls in", page.trace_written - before, "records")
"""


REVOKING = """
from exokernel.aegis.abi import ANY, FOREVER, NAME_INDEX_BITS, Authority, Kind, Right
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import u64


def main() -> None:
    if aegis.environment_page().identifier == 1:
        aegis.environment_page().masked = 0xFFFFFFFFFFFFFFFF
        aegis.wait(FOREVER)
    for what in range(2):
        name = u64(Kind.AUTHORITY) << NAME_INDEX_BITS | what
        aegis.bind(what, name, Right.WRITE, u64(aegis.capability_mint(name, Right.WRITE)))
    for _ in range(3):
        aegis.slice_give(u64(aegis.slice_claim(ANY)), 1)
    aegis.revoke(Authority.MEMORY, 1, 5, 0)
    aegis.revoke(Authority.PROCESSOR, 1, 2, 0)
    aegis.wait(read_timestamp() + 10_000_000)
"""


@dataclass
class Traced:
    """A machine's run, and what was read of its ring."""

    machine: Machine
    recorded: Recorded
    programs: Programs

    def events(self) -> list[dict[str, Any]]:
        return list(Writer(self.recorded, self.programs).all())


def run(
    folder: Path,
    *applications: Path,
    act: Callable[[Machine, Path], None] | None = None,
    options: Options | None = None,
    keep: int = EVERYTHING,
) -> Traced:
    """Until the machine ends by itself, or `act`, which gets the file of its memory, has been done."""
    image = build(list(applications), traced=True)
    with Follower(image, folder, keep) as follower:
        options = follower.options(options or Options(icount=True))
        assert options.memory_file is not None
        with Machine(image.path, options, timeout=100) as machine:
            if act:
                act(machine, options.memory_file)
                machine.stop()
            else:
                machine.wait()
        recorded = follower.recorded()
    assert [c for c in machine.complaints if "terminating on signal" not in c] == [], machine.transcript()
    return Traced(machine, recorded, Programs(image))


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


# ---- the ordinary kernel


def test_counters_are_told_by_their_places() -> None:
    network = offsetof(SystemPage, "network")
    for counter in TraceCounter:
        kind, field = (EventCounts, "events") if counter == TraceCounter.WAKES else (NetworkStatistics, "network")
        place = offsetof(SystemPage, field) + offsetof(kind, counter.name.lower())
        assert place == network + 8 * counter


def test_the_ordinary_kernel_is_the_same_bytes_as_if_nothing_had_ever_been_recorded(tmp_path: Path) -> None:
    """Every mention of `trace` is taken out of a copy of the sources, which is then compiled: code, constants and data
    are those of the ordinary kernel.
    """
    shutil.copytree(REPOSITORY / "src/exokernel", tmp_path / "exokernel", ignore=shutil.ignore_patterns("__pycache__"))
    texts = {
        "{{trace.SYSRET}}": "sysretq",
        "{trace.SYSRET}": "sysretq",
        "{trace.IRET}": "iretq",
        " + trace.FRAMES": "",
        "128 if trace.ON else 64": "64",
    }
    removed = 0
    for path in sorted((tmp_path / "exokernel/aegis").glob("*.py")):
        if path.stem in ("trace", "traced"):
            path.unlink()
            continue
        text = path.read_text()
        for mention, instruction in texts.items():
            removed += text.count(mention)
            text = text.replace(mention, instruction)
        text, calls = re.subn(r"^ *trace\.\w+\(.*\)\n", "", text, flags=re.MULTILINE)
        text, entries = re.subn(r"\{+trace\.ENTER_\w+\}+", "", text)
        removed += calls + entries
        assert "trace." not in text, path
        text = re.sub(r"^    trace,.*\n|(?<=[a-z]), trace\b", "", text, flags=re.MULTILINE)
        assert "trace" not in {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
        path.write_text(text)
    assert removed > 30
    program = (
        "import sys; from exokernel.metal.build import compile_program;"
        "sys.stdout.buffer.write(compile_program('exokernel.aegis.kernel', kind='kernel'))"
    )
    result = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=ENVIRONMENT | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode()
    assert segments(result.stdout) == segments(build([HELLO]).kernel.elf)
    assert segments(result.stdout) != segments(build([HELLO], traced=True).kernel.elf)


def test_an_application_reads_the_ring_and_cannot_write_it(tmp_path: Path, application: Write) -> None:
    path = application(READING)
    lines = run(tmp_path, path).machine.console.decode().splitlines()
    assert lines == [f"{TRACE_FRAMES} frames", "node 0", "write -4", "read 0", "3 null calls in 6 records"]


def test_there_is_no_ring_unless_it_was_asked_for(application: Write) -> None:
    with Machine(build([application(READING)]).path, Options(icount=True)) as machine:
        machine.wait()
    assert machine.console == b"0 frames\n"


# ---- what is in a trace


def test_the_times_of_a_trace_are_the_guests_own(tmp_path: Path, application: Write) -> None:
    found = run(tmp_path, application(CLOCK))
    events = found.events()
    pieces = check(events)
    printed = [int(line) for line in found.machine.console.split()]
    entered = [start for start, _, name in pieces[1, 1] if name == "call null"]
    assert len(printed) == len(entered) == 6
    # From reading the clock to the call it is always as far, through waits of milliseconds in which nothing was executed.
    assert len({entry - time for entry, time in zip(entered, printed, strict=True)}) == 1
    assert printed[-1] - printed[0] > 6_000_000
    assert found.recorded.overtaken == found.recorded.dropped == 0


def test_the_processor_is_always_somebodys(tmp_path: Path) -> None:
    client = EXAMPLES / "rpc_client.py"
    found = run(tmp_path, EXAMPLES / "rpc_server.py", client, client)
    events = found.events()
    pieces = check(events)
    whole = pieces[1_000_000, 1_000_000]
    assert all(before[1] == after[0] for before, after in pairwise(whole))
    assert whole[-1][1] == found.recorded.nanoseconds(found.recorded.records[-1].timestamp)
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
    found = run(tmp_path, EXAMPLES / "crash.py")
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

    def talk(machine: Machine, memory: Path) -> None:
        machine.wait_for(b"Echo on")
        page = system_page(build([EXAMPLES / "echo.py"], traced=True).kernel)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            ours.settimeout(20)
            for number in range(3):
                # The ring can be read while it is written: whoever waits for the packet sleeps.
                for _ in range(1000):
                    reader = Reader(memory.read_bytes(), page, EVERYTHING)
                    reader.poll()
                    last = reader.recorded().records[-1]
                    if (last.kind, last.environment) == (TraceKind.LEAVE, 64):
                        break
                    time.sleep(0.01)
                ours.sendto(b"%d" % number, ("127.0.0.1", port))
                assert ours.recv(100) == b"%d" % number

    options = Options(forward=(Forward("udp", port, 7),))
    found = run(tmp_path, EXAMPLES / "echo.py", act=talk, options=options)
    events = found.events()
    check(events)
    instants = Counter(e["name"] for e in events if e["ph"] == "i")
    assert instants["received"] == instants["delivered"] >= instants["transmitted"] >= 3
    assert 3 <= instants["event: network"] <= instants["received"]  # one tells of all that came at once
    ends = [e for e in events if e["ph"] == "f" and e["pid"] == 1]
    assert 3 <= len(ends) <= instants["received"]  # an arrow for each that woke it, none for what came while it ran


def test_who_is_asked_to_give_back_and_what_is_taken(tmp_path: Path, application: Write) -> None:
    path = application(REVOKING)
    events = run(tmp_path, path, path).events()
    check(events)
    names = Counter(re.sub(r"(frame|slice) \d+$", r"\1", e["name"]) for e in events if e["ph"] == "i" and e["pid"] == 2)
    assert names == {
        "event: revoke: 5 frames": 1,
        "event: revoke: 5 frames and 2 slices": 1,
        "event: repossessed: frame": 5,
        "event: repossessed: slice": 2,
    }


def test_upcalls_and_the_first_use_of_vectors(tmp_path: Path) -> None:
    names: Counter[str] = Counter()
    for path in ("applications/slices.py", "applications/events.py", "applications/floating.py"):
        events = run(tmp_path, SYSTEM / path).events()
        check(events)
        names += Counter(e["name"] for e in events if e["ph"] in "iX")
    assert all(names[f"upcall: {entry}"] for entry in ("event", "slice_start", "slice_end")), names
    assert names["floating point"] and names["timer"], names


def test_only_the_last_records_are_kept_and_the_others_counted(tmp_path: Path, exo: Exo) -> None:
    path = tmp_path / "few.json.gz"
    result = exo("trace", HELLO, "-o", path, "--events", 5, "--icount")
    assert result.returncode == 0, result.stderr
    assert "Hello from environment 0" in result.stdout
    older = re.search(r"(\d+) older records were not kept", result.stderr)
    assert older, result.stderr
    content = json.loads(gzip.decompress(path.read_bytes()))
    check(content["traceEvents"])
    assert content["otherData"]["older records not kept"] == int(older[1]) > 0
    assert content["otherData"]["records lost"] == 0
    assert "hello" in {e["name"] for e in content["traceEvents"] if e["ph"] == "X"}  # its name is known all the same
    times = [e["ts"] for e in content["traceEvents"] if "ts" in e]
    assert times == sorted(times)
    found = run(tmp_path, HELLO).recorded
    assert len(found.records) == int(older[1]) + 5


def test_a_numbers_next_environment_has_a_track_of_its_own(tmp_path: Path) -> None:
    found = run(tmp_path, SYSTEM / "process/families.py")
    events = found.events()
    check(events)
    names = Counter(e["name"] for e in events if e["ph"] == "i")
    assert names["created"] == names["ended"] + 1 > 2  # all but the first, whose end is the machine's
    generations = {e["pid"] for e in events if e["ph"] == "X" and 1 < e["pid"] % 100 < 65}
    assert len(generations) >= 2


def test_an_environment_without_a_name_is_shown(tmp_path: Path) -> None:
    events = run(tmp_path, SYSTEM / "process/heirs.py").events()
    check(events)
    assert "?" in {e["name"] for e in events if e["ph"] == "X"}


# ---- the reader


class Memory(bytearray):
    """A machine's memory with a system page at 0 and a ring behind it, of which `during` is done when it is read."""

    during: Callable[[], None] | None = None

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        if self.during and isinstance(index, slice):
            during, self.during = self.during, None
            during()
        return found

    def word(self, name: str, value: int | None = None) -> int:
        at = offsetof(SystemPage, name)
        if value is not None:
            self[at : at + 8] = value.to_bytes(8, "little")
        return int.from_bytes(bytearray.__getitem__(self, slice(at, at + 8)), "little")

    def record(self, kind: TraceKind = TraceKind.LEAVE, environment: int = 0, detail: int = 0, first: int = 0) -> None:
        """As the kernel does it."""
        self.begin(kind, environment, detail, first)
        self.word("trace_written", self.word("trace_written") + 1)

    def begin(self, kind: TraceKind, environment: int = 0, detail: int = 0, first: int = 0) -> None:
        """All of that but the last step."""
        number = self.word("trace_written")
        at = 4096 + number % TRACE_RECORDS_PER_FRAME * RECORD_BYTES
        self[at : at + RECORD_BYTES] = RECORD.pack(number, number, kind, environment, detail, first, 0)


FEW = TRACE_RECORDS_PER_FRAME  # records of this ring


def memory() -> Memory:
    found = Memory(2 * 4096)
    found.word("trace_frame", 1)
    found.word("trace_frames", 1)
    return found


def numbers(reader: Reader) -> list[int]:
    """Of what was read; each record is the one that it is taken for."""
    records = reader.recorded().records
    assert all(record.number == record.timestamp for record in records)
    return [record.number for record in records]


def test_a_ring_is_read_whole_as_often_as_it_goes_round() -> None:
    machine = memory()
    reader = Reader(machine, 0, EVERYTHING)
    for _ in range(7):
        for _ in range(FEW - 1):
            machine.record()
        assert reader.poll() and not reader.poll()
    assert numbers(reader) == list(range(7 * (FEW - 1))) and reader.overtaken == 0


def test_a_reader_that_is_overtaken_counts_what_it_lost() -> None:
    machine = memory()
    reader = Reader(machine, 0, EVERYTHING)
    for count in (10, FEW + 5):
        for _ in range(count):
            machine.record()
        reader.poll()
    assert numbers(reader) == [*range(10), *range(16, 10 + FEW + 5)]
    assert reader.overtaken == 6


def test_what_is_overwritten_while_it_is_copied_is_not_taken() -> None:
    machine = memory()
    for _ in range(FEW):
        machine.record()

    def further() -> None:
        for _ in range(3):
            machine.record()
        machine.begin(TraceKind.LEAVE)

    machine.during = further
    reader = Reader(machine, 0, EVERYTHING)
    reader.poll()
    assert numbers(reader) == list(range(4, FEW)) and reader.overtaken == 4
    reader.poll()
    assert numbers(reader) == list(range(4, FEW + 3)) and reader.overtaken == 4


def test_a_gap_is_shown_and_nobody_runs_in_it() -> None:
    machine = memory()
    reader = Reader(machine, 0, EVERYTHING)
    machine.record(TraceKind.ENTER, detail=TraceCause.CALL)
    machine.record(TraceKind.LEAVE)
    machine.record(TraceKind.ENTER, detail=TraceCause.CALL)
    reader.poll()
    for _ in range(11):
        machine.record()
    machine.record(TraceKind.POSTED, environment=2, first=Event.NETWORK)  # to somebody else, by 1
    for _ in range(FEW - 2):
        machine.record(TraceKind.LEAVE, environment=1)
    reader.poll()
    events = list(Writer(reader.recorded(), Programs(build([HELLO]))).all())
    pieces = check(events)
    assert [e["name"] for e in events if e["ph"] == "i"] == ["11 records lost", "event: network"]
    assert pieces[1_000_000, 1_000_000] == [(0, 2, "?"), (14, 12 + FEW, "?")]
    assert pieces[2, 2] == [(14, 12 + FEW, "runs")]


def test_a_ring_that_went_round_before_anybody_looked(tmp_path: Path) -> None:
    image = build([SYSTEM / "process/cycles.py"], traced=True)
    file = tmp_path / "memory"
    options = Options(icount=True, memory_file=file)
    with file.open("wb") as memory:
        memory.truncate(options.memory << 20)
    with Machine(image.path, options, timeout=100) as machine:
        machine.wait()
    reader = Reader(file.read_bytes(), system_page(image.kernel), EVERYTHING)
    reader.poll()
    recorded = reader.recorded()
    assert len(recorded.records) == CAPACITY - 1
    assert recorded.overtaken + CAPACITY - 1 == reader.word("trace_written")
    check(list(Writer(recorded, Programs(image)).all()))


# ---- the command


def test_what_cannot_be_traced_is_refused(exo: Exo, tmp_path: Path) -> None:
    result = exo("trace", HELLO, "-o", tmp_path / "no folder/out")
    assert result.returncode == 2 and "cannot write" in result.stderr


def test_a_trace_asks_nothing_of_the_emulator(tmp_path: Path) -> None:
    """So KVM is as good."""
    image = build([HELLO], traced=True)
    for machine in ("microvm", "pc", "q35"):
        with Follower(image, tmp_path, 10) as follower:
            options = follower.options(Options(accelerator="kvm", machine=machine))
            command = qemu_command(image.path, options, 9)
            assert command[command.index("-accel") + 1] == "kvm" and "-plugin" not in command
            plain = qemu_command(image.path, replace(options, memory_file=None), 9)
            added = [part for part in command if part not in plain]
            assert added == [
                command[2], "-object", f"memory-backend-file,id=memory,size=68M,mem-path={tmp_path}/memory,share=on"
            ]  # fmt: skip


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_every_machine_can_be_traced(tmp_path: Path, machine: str) -> None:
    found = run(tmp_path, HELLO, options=Options(icount=True, machine=machine))
    assert "call exit" in {e["name"] for e in found.events()}


def test_what_was_seen_until_an_interrupt_is_written(tmp_path: Path, cache: Path) -> None:
    """A server is ended with Ctrl-C."""
    path = tmp_path / "seen"
    interrupt_echo("trace", path, cache)
    names = {e["name"] for e in json.loads(path.read_text())["traceEvents"]}
    assert {"boot", "call console_write", "runs"} <= names
