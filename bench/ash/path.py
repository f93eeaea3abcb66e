# SPDX-License-Identifier: MIT
"""Counts the machine instructions from the first one of the device's interrupt to the store that tells the device of the
answer, for frames that are sent to a booted machine one by one.

QEMU executes one instruction at a time and logs each (`exec`, without chaining) while a frame is under way; the device's
registers are logged among them. Each turn of a repeated instruction counts. The machine idles when the frame comes, and
slices are so long that none ends on the way. An instruction before which QEMU stopped, for an interrupt or its own
business, is in the log and was not executed.
"""

import io
import re
import socket
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exokernel.host.build import build
from exokernel.host.machine import Machine, measured
from exokernel.host.wire import Wire, wire

TIMEOUT = 60.0
QUIET = 0.5  # seconds without a frame, so that the machine sleeps when the next one comes
SLICE = 100_000_000  # nanoseconds; less than QUIET, so that a whole one has gone by
EXECUTED = re.compile(r"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/.*\n(?!Stopped execution)", re.MULTILINE)
NOTIFIED = "virtio_mmio_write offset 0x50 value 0x1"
ENTRY = "exokernel.aegis.calls.device_entry"


class Symbols:
    """The functions of an executable by their addresses."""

    def __init__(self, elf: bytes) -> None:
        from elftools.elf.elffile import ELFFile

        table: Any = ELFFile(io.BytesIO(elf)).get_section_by_name(".symtab")
        found = sorted((s["st_value"], s.name) for s in table.iter_symbols() if s.name)
        self.starts = [address for address, _ in found]
        self.names = [name for _, name in found]

    def name(self, address: int) -> str:
        at = bisect_right(self.starts, address) - 1
        return self.names[at] if at >= 0 else "?"

    def address(self, name: str) -> int:
        return self.starts[self.names.index(name)]


class Log:
    """What a machine executes while a frame is under way. It is started with `arguments`, then `attach` once."""

    def __init__(self, folder: Path, monitor: socket.socket) -> None:
        self.file, self.place, self.monitor = folder / "log", str(folder / "monitor"), monitor
        self.arguments = ("-D", str(self.file), "-monitor", f"unix:{self.place},server=on,wait=off")

    def attach(self) -> None:
        """To the machine that runs now."""
        self.monitor.connect(self.place)
        self.monitor.settimeout(20)
        self.say("singlestep on")

    def say(self, command: str) -> None:
        """One of QEMU's monitor commands, up to its prompt."""
        self.monitor.sendall(command.encode() + b"\n")
        answer = b""
        while not answer.endswith(b"(qemu) ") or command.encode() not in answer:
            answer += self.monitor.recv(65536)

    def exchange(self, cable: Wire, frame: bytes) -> tuple[bytes, list[int]]:
        """The answer to a frame, and the addresses of all that was executed until the device was told of it. Raises
        ValueError.
        """
        time.sleep(QUIET)
        before = self.file.stat().st_size if self.file.exists() else 0
        self.say("log exec,nochain,trace:virtio_mmio_write_offset")
        cable.send(frame)
        answer = cable.receive()
        self.say("log none")
        with self.file.open(errors="replace") as file:
            file.seek(before)
            text = file.read()
        if NOTIFIED not in text:
            raise ValueError("no answer in the log")
        return answer, [int(address, 16) for address in EXECUTED.findall(text[: text.index(NOTIFIED)])]


@contextmanager
def logging() -> Iterator[Log]:
    """A log, for one machine."""
    with tempfile.TemporaryDirectory(prefix="exo-") as folder, socket.socket(socket.AF_UNIX) as monitor:
        yield Log(Path(folder), monitor)


def answers(applications: Sequence[Path], ready: bytes, frames: Sequence[bytes]) -> list[tuple[bytes, list[int]]]:
    """Each frame's answer, and the addresses of the instructions that were executed for it."""
    image = build(list(applications), slice_ticks=SLICE)
    entry = Symbols(image.kernel.elf).address(ENTRY)
    with logging() as log, wire() as cable:
        options = measured(link=cable.option, extra=log.arguments)
        with Machine(image.path, options, timeout=TIMEOUT) as guest:
            cable.guest = guest
            guest.wait_for(ready, 50)
            log.attach()
            found = [log.exchange(cable, frame) for frame in frames]
    return [(answer, executed[executed.index(entry) :]) for answer, executed in found]
