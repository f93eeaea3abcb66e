# SPDX-License-Identifier: MIT
"""`exo trace`: what kernel and applications did when, as a file for Perfetto's viewer (https://ui.perfetto.dev).

The plugin (observe.c) leaves events in a ring. Here they become slices, instants and arrows, in the Chrome trace event
format, of which this writes the types X, i, s, f and M. One environment is one process of the viewer, with one track:
while it has the processor there is a slice `runs`, in it one for each stay in the kernel; the rest is its own time.
Times are microseconds in the file, and nanoseconds of the guest's clock: one instruction each.
"""

import argparse
import gzip
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exokernel.aegis.abi import Call, EnvironmentPage, Event, EventCounts, NetworkStatistics
from exokernel.host.build import Image
from exokernel.host.observe import observe
from exokernel.host.profile import Programs
from exokernel.host.report import EXCEPTIONS
from exokernel.host.terminal import Failure, say, warn
from exokernel.metal import offsetof

MAGIC = b"AXSTRACE"
HEADER = struct.Struct("<8s7Q")
NAME = struct.Struct("<Q2I48s")
EVENT = struct.Struct("<QHHIQ")
NAMES, NAMES_OFFSET = 4096, 4096
EVENTS_OFFSET = NAMES_OFFSET + NAMES * NAME.size

ENTER, LEAVE, SWITCH, UPCALL, FAULT, COUNT, POSTED = range(7)
CALL, UNKNOWN_CALL, LINE = 256, 512, 2048
CAUSES = {
    1024: "timer", 1025: "network device", 1026: "floating point", 1027: "stray interrupt", 1028: "boot",
    1029: "kernel", UNKNOWN_CALL: "call",
}  # fmt: skip
CALL_NAMES = {CALL + call.value: f"call {call.name.lower()}" for call in Call}
HANDING_OVER = {CALL + c for c in (Call.TRANSFER, Call.TRANSFER_BACK, Call.TRANSFER_ASYNCHRONOUS, Call.YIELD_TO)}
ENTRIES = ("event_entry", "slice_start_entry", "slice_end_entry")
UPCALLS = {offsetof(EnvironmentPage, entry): f"upcall: {entry.removesuffix('_entry')}" for entry in ENTRIES}
NETWORK = tuple(NetworkStatistics.__annotations__)
COUNTERS = NETWORK + tuple(EventCounts.__annotations__)
MACHINE = 1_000_000  # the process of the viewer for what is nobody's
PROCESSOR, WIRE, LIFE = MACHINE, MACHINE + 1, MACHINE + 2  # its tracks


@dataclass(frozen=True)
class Recorded:
    """What a ring holds. `lost`: older events, which newer ones overwrote. `unnamed`:
    environments for whose names there was no room. `timed`: whether idle time is known.
    """

    names: list[tuple[int, int, int, str]]  # time, environment, generation, name
    events: list[tuple[int, int, int, int, int]]  # time, kind, environment, detail, value
    lost: int
    unnamed: int
    timed: bool
    end: int
    instructions: int


def read(data: bytes) -> Recorded:
    """The ring's content, in order. Raises ValueError if it is none."""
    if len(data) < EVENTS_OFFSET:
        raise ValueError("too short for a ring of events")
    magic, capacity, written, name_count, unnamed, instructions, end, timed = HEADER.unpack_from(data)
    if magic != MAGIC or len(data) != EVENTS_OFFSET + capacity * EVENT.size:
        raise ValueError("not a ring of events")
    names = []
    for index in range(name_count):
        time, environment, generation, name = NAME.unpack_from(data, NAMES_OFFSET + index * NAME.size)
        names.append((time, environment, generation, name.split(b"\0")[0].decode(errors="replace")))
    events = list(EVENT.iter_unpack(data[EVENTS_OFFSET : EVENTS_OFFSET + min(written, capacity) * EVENT.size]))
    start = written % capacity if written > capacity else 0
    lost = max(written - capacity, 0)
    return Recorded(names, events[start:] + events[:start], lost, unnamed, bool(timed), end, instructions)


@dataclass
class Track:
    """An environment in the viewer."""

    process: int
    name: str
    posted: int = 0
    arrow: int = 0  # the number of an arrow that ends where it runs next


@dataclass
class Writer:
    """Makes the viewer's events of the ring's."""

    recorded: Recorded
    programs: Programs
    tracks: dict[int, Track] = field(default_factory=dict)
    arrows: int = 0

    def all(self) -> Iterator[dict[str, Any]]:
        """See the module."""
        yield from self.meta(MACHINE, "machine", -1, {PROCESSOR: "processor", WIRE: "network", LIFE: "environments"})
        names = iter(self.recorded.names)
        coming = next(names, None)
        running: int | None = None  # the environment, since `since`
        since = inside_since = 0
        cause: int | None = None  # why the processor is in the kernel
        detail: dict[str, Any] = {}
        for time, kind, environment, what, value in self.recorded.events:
            while coming and coming[0] <= time:
                yield from self.begin(*coming)
                coming = next(names, None)
            if running is None:
                running, since, inside_since = environment, time, time
            track = self.track(environment)
            if kind == ENTER:
                cause, inside_since, detail = what, time, {}
                if what < CALL:
                    detail = {"at": self.place(track, value)}
            elif kind == FAULT:
                detail["address"] = f"{value:#x}"
                yield instant(f"{EXCEPTIONS[what]} {value:#x}", track.process, track.process, time)
            elif kind == LEAVE:
                if cause is not None:
                    yield piece(cause_name(cause), track.process, inside_since, time, detail)
                cause = None
                if track.arrow:
                    yield {"ph": "f", "bp": "e", **arrow(track.arrow, track.process, time)}
                    track.arrow = 0
            elif kind == SWITCH:
                other = self.track(what)
                if cause is not None:
                    yield piece(cause_name(cause), track.process, inside_since, time, detail)
                yield from self.ran(track, since, time)
                if cause in HANDING_OVER and time > inside_since:
                    yield self.send(other, track.process, time - 1)
                if cause is not None:
                    cause, detail = CONTINUES, {}
                running, since, inside_since = what, time, time
            elif kind == UPCALL:
                yield instant(UPCALLS[value], self.track(what).process, self.track(what).process, time)
            elif kind == POSTED:
                other = self.track(what)
                new = value & ~other.posted or value
                other.posted = value
                words = ", ".join(e.name.lower() for e in Event if new & e.value)
                yield instant(f"event: {words}", other.process, other.process, time)
                if what != environment:
                    yield self.send(other, track.process, time)
            elif kind == COUNT:
                name = COUNTERS[what]
                place = WIRE if name in NETWORK else LIFE
                yield instant(name, MACHINE, place, time, {"count": value, "by": track.name})
        if running is not None:
            end = max(self.recorded.end, since)
            if cause is not None:
                yield piece(cause_name(cause), self.track(running).process, inside_since, end, detail)
            yield from self.ran(self.track(running), since, end)

    def track(self, environment: int) -> Track:
        """The track of the environment that has this number now."""
        return self.tracks.setdefault(environment, Track(MACHINE + 100 + environment, "?"))

    def begin(self, time: int, environment: int, generation: int, name: str) -> Iterator[dict[str, Any]]:
        """A number becomes another environment's."""
        del time
        process = environment + 1 + 100 * max(generation - 1, 0)
        self.tracks[environment] = Track(process, name)
        shown = name if name == "idle" else f"{name} (environment {environment})"
        yield from self.meta(process, shown, environment, {process: name})

    @staticmethod
    def meta(process: int, name: str, order: int, tracks: dict[int, str]) -> Iterator[dict[str, Any]]:
        """How the viewer calls a process and its tracks."""
        yield {"ph": "M", "name": "process_name", "pid": process, "tid": process, "args": {"name": name}}
        yield {"ph": "M", "name": "process_sort_index", "pid": process, "tid": process, "args": {"sort_index": order}}
        for track, title in tracks.items():
            yield {"ph": "M", "name": "thread_name", "pid": process, "tid": track, "args": {"name": title}}

    @staticmethod
    def ran(track: Track, since: int, time: int) -> Iterator[dict[str, Any]]:
        yield piece("runs", track.process, since, time, {})
        yield piece(track.name, MACHINE, since, time, {})

    def send(self, target: Track, process: int, time: int) -> dict[str, Any]:
        """The beginning of an arrow to where `target` runs next; an older one that has not arrived ends nowhere."""
        self.arrows += 1
        target.arrow = self.arrows
        return {"ph": "s", **arrow(self.arrows, process, time)}

    def place(self, track: Track, address: int) -> str:
        return self.programs.functions(track.name, address)[-1]


CONTINUES = -1


def cause_name(cause: int) -> str:
    """Why the processor is in the kernel, for a person."""
    if cause == CONTINUES:
        return "continues"
    if cause < CALL:
        return EXCEPTIONS.get(cause, f"exception {cause}")
    if cause >= LINE:
        return f"line {cause - LINE}"
    return CALL_NAMES.get(cause) or CAUSES.get(cause) or f"call {cause - CALL}"


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
        about = {"one nanosecond is": "one instruction", "lost events": recorded.lost, "idle is timed": recorded.timed}
        file.write(f'{{"displayTimeUnit": "ns", "otherData": {json.dumps(about)}, "traceEvents": [\n')
        for number, event in enumerate(ordered):
            file.write((",\n" if number else "") + json.dumps(event))
        file.write("\n]}\n")


def trace(parsed: argparse.Namespace) -> int:
    """Run the applications and write the trace; the exit status is that of `exo run`."""

    def take(written: Path, image: Image) -> None:
        try:
            recorded = read(written.read_bytes())
        except ValueError:
            warn("QEMU was ended before it could record anything")
            return
        try:
            write(parsed.output, recorded, Writer(recorded, Programs(image)).all())
        except OSError as error:
            raise Failure(f"cannot write {parsed.output}: {error.strerror}") from None
        if recorded.lost:
            warn(f"{recorded.lost:,} older events were lost; --events keeps more")
        if recorded.unnamed:
            warn(f"{recorded.unnamed:,} environments are shown as the last one that had their number")
        if not recorded.timed:
            warn("this QEMU does not tell its clock: while the machine idles, no time passes in the trace")
        say(f"{parsed.output}: {len(recorded.events):,} events; open it at https://ui.perfetto.dev")

    return observe(parsed, take, capacity=parsed.events)
