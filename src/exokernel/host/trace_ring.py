# SPDX-License-Identifier: MIT
"""Reading the trace ring of a running machine from outside: its memory is a file, which is mapped here too.

The kernel neither knows of the reader nor waits for it, so a reader can be overtaken; how many records it lost it sees
by their numbers. Which record may be taken is written in `aegis/trace_abi.py`. Nothing here may write to the memory.
"""

import mmap
import struct
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from exokernel.aegis.abi import ENVIRONMENTS, NAME_BYTES, EnvironmentStatus, SystemPage
from exokernel.aegis.trace_abi import TRACE_FRAMES, TRACE_RECORDS_PER_FRAME, TraceKind, TraceRecord
from exokernel.host.build import Compiled, Image
from exokernel.host.machine import Options
from exokernel.metal import offsetof, sizeof
from exokernel.metal.linker import segments, symbols

FRAME = 4096
RING_MEBIBYTES = TRACE_FRAMES * FRAME >> 20  # what the ring takes of the machine's memory
RECORD = struct.Struct("<QIBBHQQ")
WORD = struct.Struct("@Q")  # native, so read at once: the kernel may be writing it
RECORD_BYTES = sizeof(TraceRecord)
KIND = offsetof(TraceRecord, "kind")
PAUSE = 0.001  # seconds until the ring is looked at again when nothing was new

assert RECORD.size == RECORD_BYTES


class Record(NamedTuple):
    """A `TraceRecord`; `number` is the whole of what `sequence` is half of."""

    number: int
    timestamp: int
    kind: int
    environment: int
    detail: int
    first: int
    second: int


@dataclass(frozen=True)
class Recorded:
    """What was read. `overtaken` records were overwritten before they were read, `dropped` ones were older than those
    that were to be kept; of these, `names` has those of the kind NAMED. `frequency`: timestamps per second. `last_names`:
    of the environments that there were at the end.
    """

    records: list[Record]
    names: list[Record]
    overtaken: int
    dropped: int
    frequency: int
    last_names: dict[int, str]

    def nanoseconds(self, timestamp: int) -> int:
        """A timestamp as time since the machine's start."""
        return timestamp * 1_000_000_000 // self.frequency


@dataclass
class Piece:
    """Records that follow each other, from number `first` on."""

    first: int
    data: bytes

    def __len__(self) -> int:
        return len(self.data) // RECORD_BYTES

    def records(self) -> Iterator[Record]:
        for number, (time, _, *rest) in enumerate(RECORD.iter_unpack(self.data), self.first):
            yield Record(number, time, *rest)

    def named(self) -> list[Record]:
        """Those of the kind NAMED, found without looking at each."""
        kinds, at = self.data[KIND::RECORD_BYTES], -1
        found: list[Record] = []
        while (at := kinds.find(TraceKind.NAMED, at + 1)) >= 0:
            one = self.data[at * RECORD_BYTES : (at + 1) * RECORD_BYTES]
            found += Piece(self.first + at, one).records()
        return found


@dataclass
class Reader:
    """Takes what is new out of `memory`, a machine's, whose system page is at physical address `page`. The last `keep`
    records are kept, at least.
    """

    memory: bytes | mmap.mmap
    page: int
    keep: int
    pieces: deque[Piece] = field(default_factory=deque)
    names: list[Record] = field(default_factory=list)
    seen: int = 0
    kept: int = 0
    overtaken: int = 0
    dropped: int = 0

    def word(self, name: str) -> int:
        """A number of the system page."""
        value: int = WORD.unpack_from(self.memory, self.page + offsetof(SystemPage, name))[0]
        return value

    def poll(self) -> bool:
        """Takes what is new; whether there was anything."""
        frame, capacity = self.word("trace_frame"), self.word("trace_frames") * TRACE_RECORDS_PER_FRAME
        written = self.word("trace_written")
        if capacity == 0 or written == self.seen:
            return False
        first = max(self.seen, written - capacity)
        start, end = first % capacity, written - first + first % capacity
        base = frame * FRAME
        data = self.memory[base + start * RECORD_BYTES : base + min(end, capacity) * RECORD_BYTES]
        data += self.memory[base : base + max(end - capacity, 0) * RECORD_BYTES]
        # The one after the last that is whole may be half overwritten.
        whole = max(first, min(self.word("trace_written") - capacity + 1, written))
        self.overtaken += whole - self.seen
        self.seen = written
        self.add(Piece(whole, data[(whole - first) * RECORD_BYTES :]))
        return True

    def add(self, piece: Piece) -> None:
        if not piece.data:
            return
        self.pieces.append(piece)
        self.kept += len(piece)
        while self.kept - len(self.pieces[0]) >= self.keep:
            old = self.pieces.popleft()
            self.kept -= len(old)
            self.dropped += len(old)
            self.names += old.named()

    def recorded(self) -> Recorded:
        """All of it, cut to what is to be kept."""
        records = [record for piece in self.pieces for record in piece.records()]
        excess = max(len(records) - self.keep, 0)
        names = self.names + [record for record in records[:excess] if record.kind == TraceKind.NAMED]
        frequency = self.word("timestamp_frequency") or 1_000_000_000
        return Recorded(records[excess:], names, self.overtaken, self.dropped + excess, frequency, self.last_names())

    def last_names(self) -> dict[int, str]:
        """By number, also of environments that ended."""
        found = {}
        for number in range(ENVIRONMENTS):
            at = self.page + offsetof(SystemPage, "environments") + number * sizeof(EnvironmentStatus)
            name = bytes(self.memory[at : at + NAME_BYTES]).split(b"\0")[0].decode(errors="replace")
            if name:
                found[number] = name
        return found


def system_page(kernel: Compiled) -> int:
    """The physical address of a kernel's system page."""
    address = symbols(kernel.elf)["exokernel.aegis.information.page"]
    return next(
        s.physical + address - s.virtual for s in segments(kernel.elf) if 0 <= address - s.virtual < s.memory_size
    )


class Follower:
    """Follows the ring of a machine that is going to run, in a thread: `with Follower(image, folder, keep) as follower:`
    run the machine with `follower.options(...)`; then `follower.recorded()`.
    """

    def __init__(self, image: Image, folder: Path, keep: int) -> None:
        self._kernel, self._file, self._keep = image.kernel, folder / "memory", keep
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._reader: Reader | None = None

    def options(self, options: Options) -> Options:
        """`options` with the memory in a file, and more of it by what the ring takes. To be asked once: a file that is
        mapped must not become shorter.
        """
        assert self._reader is None
        options = replace(options, memory=options.memory + RING_MEBIBYTES, memory_file=self._file)
        with self._file.open("wb") as file:
            file.truncate(options.memory << 20)
        with self._file.open("rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._reader = Reader(memory, system_page(self._kernel), self._keep)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return options

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def recorded(self) -> Recorded:
        """Everything until now; nothing is followed any more."""
        assert self._reader is not None
        self._stop()
        self._reader.poll()
        return self._reader.recorded()

    def _stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        assert self._reader is not None
        while not self._ended.is_set():
            if not self._reader.poll():
                self._ended.wait(PAUSE)
