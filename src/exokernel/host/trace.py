# SPDX-License-Identifier: MIT
"""`exo trace`: what kernel and applications did when, as a file for Perfetto's viewer (https://ui.perfetto.dev).

The kernel that records leaves records in a ring (`trace_ring`). Here they become slices, instants and arrows, in the
Chrome trace event format, of which this writes the types X, i, s, f and M. One environment is one process of the viewer,
with one track: while it has the processor there is a slice `runs`, in it one for each stay in the kernel; the rest is its
own time. Times are microseconds in the file, and come from the guest's time-stamp counter.
"""

import argparse
import gzip
import json
import tempfile
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from exokernel.aegis.abi import ENVIRONMENTS, NAME_INDEX_BITS, Call, Event, Kind
from exokernel.aegis.trace_abi import TraceCause, TraceCounter, TraceEntry, TraceKind
from exokernel.host.build import build
from exokernel.host.machine import find_qemu
from exokernel.host.profile import Programs
from exokernel.host.report import EXCEPTIONS, PAGE_FAULT
from exokernel.host.run import machine_options, run_image, with_forwards
from exokernel.host.terminal import Failure, check_output, say, warn
from exokernel.host.trace_ring import Follower, Record, Recorded

IDLE = ENVIRONMENTS
CALLS = range(TraceCause.CALL, TraceCause.CALL + 256)
CAUSES = {
    TraceCause.TIMER: "timer",
    TraceCause.DEVICE: "network device",
    TraceCause.FLOATING: "floating point",
    TraceCause.STRAY: "stray interrupt",
    TraceCause.BOOT: "boot",
}
CALL_NAMES = {TraceCause.CALL + call.value: f"call {call.name.lower()}" for call in Call}
HANDING_OVER = {
    TraceCause.CALL + c for c in (Call.TRANSFER, Call.TRANSFER_BACK, Call.TRANSFER_ASYNCHRONOUS, Call.YIELD_TO)
}
UPCALLS = {entry.value: f"upcall: {entry.name.lower()}" for entry in TraceEntry}
COUNTERS = {counter.value: counter.name.lower() for counter in TraceCounter}
MACHINE = 1_000_000  # the process of the viewer for what is nobody's
PROCESSOR, WIRE, LIFE = MACHINE, MACHINE + 1, MACHINE + 2  # its tracks
GENERATION = 100  # from the process of one environment to that of the next one with its number


@dataclass
class Track:
    """An environment in the viewer."""

    process: int
    name: str
    arrow: int = 0  # the number of an arrow that ends where it runs next


@dataclass
class Writer:
    """Makes the viewer's events of the ring's records."""

    recorded: Recorded
    programs: Programs
    tracks: dict[int, Track] = field(default_factory=dict)
    generations: dict[int, int] = field(default_factory=dict)
    halves: dict[int, bytes] = field(default_factory=dict)
    arrows: int = 0
    running: int = IDLE
    since: int = 0  # has it had the processor
    inside: Record | None = None  # how it entered the kernel, in which it is

    def all(self) -> Iterator[dict[str, Any]]:
        """See the module."""
        yield from self.meta(MACHINE, "machine", -1, {PROCESSOR: "processor", WIRE: "network", LIFE: "environments"})
        for record in self.recorded.names:
            yield from self.name(record)
        records = self.recorded.records
        if not records:
            return
        before = records[0]
        self.begins(0)
        for index, record in enumerate(records):
            if record.number > before.number + 1:
                yield from self.stops(self.time(before))
                self.begins(index)
                lost = f"{record.number - before.number - 1} records lost"
                yield instant(lost, MACHINE, PROCESSOR, self.time(record))
            before = record
            yield from self.one(record)
        yield from self.stops(self.time(before))

    def time(self, record: Record) -> int:
        return self.recorded.nanoseconds(record.timestamp)

    def one(self, record: Record) -> Iterator[dict[str, Any]]:
        time = self.time(record)
        match record.kind:
            case TraceKind.ENTER:
                yield from self.enter(record, time)
            case TraceKind.LEAVE:
                yield from self.leave(record, time)
            case TraceKind.UPCALL:
                yield from self.happens(record.environment, UPCALLS[record.detail], time)
            case TraceKind.POSTED:
                yield from self.post(record.environment, record.first, record.second, time)
            case TraceKind.COUNTED:
                place = LIFE if record.detail == TraceCounter.WAKES else WIRE
                by = (yield from self.track(record.environment)).name
                yield instant(COUNTERS[record.detail], MACHINE, place, time, {"by": by})
            case TraceKind.NAMED:
                yield from self.name(record)
                if record.detail == 1:
                    yield instant("created", MACHINE, LIFE, time, {"environment": self.tracks[record.environment].name})
            case TraceKind.ENDED:
                track = yield from self.track(record.environment)
                yield instant("ended", MACHINE, LIFE, time, {"environment": track.name, "status": record.first})

    def enter(self, record: Record, time: int) -> Iterator[dict[str, Any]]:
        self.running, self.inside = record.environment, record
        if record.detail == PAGE_FAULT:
            yield from self.happens(record.environment, f"{EXCEPTIONS[PAGE_FAULT]} {record.second:#x}", time)

    def leave(self, record: Record, time: int) -> Iterator[dict[str, Any]]:
        """The stay in the kernel is his who entered it, also if another continues."""
        cause = self.inside.detail if self.inside else None
        yield from self.stay(time)
        if record.environment != self.running:
            if cause in HANDING_OVER and self.inside is not None and time > self.time(self.inside):
                yield from self.send(record.environment, time - 1)
            yield from self.ran(time)
            self.running, self.since = record.environment, time
        self.inside = None
        track = yield from self.track(record.environment)
        if track.arrow:
            yield {"ph": "f", "bp": "e", **arrow(track.arrow, track.process, time)}
            track.arrow = 0

    def post(self, environment: int, event: int, about: int, time: int) -> Iterator[dict[str, Any]]:
        words = ", ".join(e.name.lower() for e in Event if event & e.value)
        if event == Event.REVOKE:
            wanted = ((about & 0xFFFFFFFF, "frames"), (about >> 32, "slices"))
            words += ": " + " and ".join(f"{count} {what}" for count, what in wanted if count)
        elif event == Event.REPOSSESSED:
            words += f": {Kind(about >> NAME_INDEX_BITS).name.lower()} {about & ((1 << NAME_INDEX_BITS) - 1)}"
        yield from self.happens(environment, f"event: {words}", time)
        if environment != self.running:
            yield from self.send(environment, time)

    def begins(self, index: int) -> None:
        """Nothing is known of what came before: who runs is who is next seen to enter the kernel, or to leave it."""
        records = self.recorded.records
        ways = (r for r in islice(records, index, None) if r.kind in (TraceKind.ENTER, TraceKind.LEAVE))
        self.running, self.since = next(ways, records[index]).environment, self.time(records[index])

    def stops(self, time: int) -> Iterator[dict[str, Any]]:
        """Nothing is known of what comes: nobody is shown as running then."""
        yield from self.stay(time)
        yield from self.ran(time)
        self.inside = None

    def stay(self, time: int) -> Iterator[dict[str, Any]]:
        """The kernel has done what it was entered for."""
        if self.inside is None:
            return
        track = yield from self.track(self.running)
        cause, more = self.inside.detail, {}
        if cause not in (TraceCause.BOOT, TraceCause.DEVICE) and self.running != IDLE:
            more["at"] = self.programs.functions(track.name, self.inside.first)[-1]
        if cause in CALLS:
            more["argument"] = f"{self.inside.second:#x}"
        yield piece(cause_name(cause), track.process, self.time(self.inside), time, more)

    def ran(self, time: int) -> Iterator[dict[str, Any]]:
        track = yield from self.track(self.running)
        yield piece("runs", track.process, self.since, time, {})
        yield piece(track.name, MACHINE, self.since, time, {})

    def happens(self, environment: int, what: str, time: int) -> Iterator[dict[str, Any]]:
        process = (yield from self.track(environment)).process
        yield instant(what, process, process, time)

    def track(self, environment: int) -> Generator[dict[str, Any], None, Track]:
        """Returns the track of the environment that has this number now."""
        if environment not in self.tracks:
            name = "idle" if environment == IDLE else self.recorded.last_names.get(environment, "?")
            yield from self.begin(environment, name)
        return self.tracks[environment]

    def name(self, record: Record) -> Iterator[dict[str, Any]]:
        """A number becomes another environment's, when the second half of its name is there."""
        text = record.first.to_bytes(8, "little") + record.second.to_bytes(8, "little")
        if record.detail == 0:
            self.halves[record.environment] = text
        else:
            whole = self.halves.pop(record.environment, b"?") + text
            yield from self.begin(record.environment, whole.split(b"\0")[0].decode(errors="replace") or "?")

    def begin(self, environment: int, name: str) -> Iterator[dict[str, Any]]:
        generation = self.generations.get(environment, 0)
        self.generations[environment] = generation + 1
        process = environment + 1 + GENERATION * generation
        self.tracks[environment] = Track(process, name)
        shown = name if environment == IDLE else f"{name} (environment {environment})"
        yield from self.meta(process, shown, environment, {process: name})

    @staticmethod
    def meta(process: int, name: str, order: int, tracks: dict[int, str]) -> Iterator[dict[str, Any]]:
        """How the viewer calls a process and its tracks."""
        yield {"ph": "M", "name": "process_name", "pid": process, "tid": process, "args": {"name": name}}
        yield {"ph": "M", "name": "process_sort_index", "pid": process, "tid": process, "args": {"sort_index": order}}
        for track, title in tracks.items():
            yield {"ph": "M", "name": "thread_name", "pid": process, "tid": track, "args": {"name": title}}

    def send(self, target: int, time: int) -> Iterator[dict[str, Any]]:
        """The beginning of an arrow from who runs to where `target` runs next; an older one that has not arrived ends
        nowhere.
        """
        self.arrows += 1
        (yield from self.track(target)).arrow = self.arrows
        yield {"ph": "s", **arrow(self.arrows, (yield from self.track(self.running)).process, time)}


def cause_name(cause: int) -> str:
    """Why the kernel was entered, for a person."""
    if cause >= TraceCause.LINE:
        return f"line {cause - TraceCause.LINE}"
    if cause in CALLS:
        return CALL_NAMES.get(cause, f"call {cause - TraceCause.CALL}")
    return CAUSES[TraceCause(cause)] if cause > TraceCause.CALL else EXCEPTIONS.get(cause, f"exception {cause}")


def moment(time: int) -> float:
    """Microseconds, exact to the nanosecond."""
    return round(time / 1000, 3)


def piece(name: str, process: int, start: int, end: int, more: dict[str, Any]) -> dict[str, Any]:
    """A slice of a process's own track."""
    found = {"ph": "X", "name": name, "pid": process, "tid": process, "ts": moment(start), "dur": moment(end - start)}
    return found | ({"args": more} if more else {})


def instant(name: str, process: int, track: int, time: int, more: dict[str, Any] | None = None) -> dict[str, Any]:
    """A moment on a track."""
    found = {"ph": "i", "s": "t", "name": name, "pid": process, "tid": track, "ts": moment(time)}
    return found | ({"args": more} if more else {})


def arrow(number: int, process: int, time: int) -> dict[str, Any]:
    """One end of an arrow."""
    return {"name": "leads to", "cat": "flow", "id": number, "pid": process, "tid": process, "ts": moment(time)}


def write(path: Path, recorded: Recorded, events: Iterable[dict[str, Any]]) -> None:
    """The file; one event a line, in order, what lies around others before them. Raises OSError."""
    ordered = sorted(events, key=lambda event: (event.get("ts", -1), -event.get("dur", 0)))
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        about = {
            "timestamps per second": recorded.frequency,
            "older records not kept": recorded.dropped,
            "records lost": recorded.overtaken,
        }
        file.write(f'{{"displayTimeUnit": "ns", "otherData": {json.dumps(about)}, "traceEvents": [\n')
        for number, event in enumerate(ordered):
            file.write((",\n" if number else "") + json.dumps(event))
        file.write("\n]}\n")


def trace(parsed: argparse.Namespace) -> int:
    """Run the applications with the kernel that records and write the trace; the exit status is that of `exo run`."""
    check_output(parsed.output)
    find_qemu()
    options = machine_options(parsed)
    image = build(parsed.applications, slice_ticks=parsed.slice_ticks, traced=True)
    options = with_forwards(options, parsed, image.forward)
    with tempfile.TemporaryDirectory(prefix="exo-") as folder, Follower(image, Path(folder), parsed.events) as follower:
        options = follower.options(options)
        try:
            return run_image(image, options, parsed.timeout, parsed.verbose)
        finally:
            recorded = follower.recorded()
            if not recorded.records:
                warn("the machine was ended before it could record anything")
            else:
                try:
                    write(parsed.output, recorded, Writer(recorded, Programs(image)).all())
                except OSError as error:
                    raise Failure(f"cannot write {parsed.output}: {error.strerror}") from None
                if recorded.dropped:
                    warn(f"{recorded.dropped:,} older records were not kept; --events keeps more")
                if recorded.overtaken:
                    warn(f"{recorded.overtaken:,} records were lost: the machine was faster than its reader")
                say(f"{parsed.output}: {len(recorded.records):,} records; open it at https://ui.perfetto.dev")
