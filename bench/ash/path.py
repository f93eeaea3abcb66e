# SPDX-License-Identifier: MIT
"""Counts the machine instructions from the first one of the device's interrupt to the store that tells the device of the
answer, for frames that are sent to a booted machine one by one.

QEMU executes one instruction at a time (`-singlestep`) and logs each (`exec`, without chaining) while a frame is under
way; the device's registers are logged among them. Each turn of a repeated instruction counts. The machine idles when the
frame comes. If a slice ends on the way, that is counted with it: the least of some frames is free of it.
"""

import io
import re
import socket
import tempfile
import time
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exokernel.host import machine
from exokernel.host.build import build
from exokernel.host.machine import Machine

TIMEOUT = 60.0
QUIET = 0.3  # seconds without a frame, so that the machine sleeps when the next one comes
EXECUTED = re.compile(r"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/")
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


def answers(applications: Sequence[Path], ready: bytes, frames: Sequence[bytes]) -> list[tuple[bytes, list[int]]]:
    """Each frame's answer, and the addresses of the instructions that were executed for it."""
    image = build(list(applications))
    entry = Symbols(image.kernel.elf).address(ENTRY)
    with tempfile.TemporaryDirectory(prefix="exo-") as name:
        folder = Path(name)
        extra = ("-singlestep", "-D", str(folder / "log"))
        extra += ("-monitor", f"unix:{folder / 'monitor'},server=on,wait=off")
        link = machine.Link(str(folder / "far"), str(folder / "near"))
        options = machine.Options(link=link, extra=extra)
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire,
            Machine(image.path, options, timeout=TIMEOUT) as guest,
        ):
            wire.bind(str(folder / "near"))
            wire.settimeout(20)
            guest.wait_for(ready, 50)
            with socket.socket(socket.AF_UNIX) as monitor:
                monitor.connect(str(folder / "monitor"))
                monitor.settimeout(20)
                return [_answer(monitor, wire, folder, frame, entry) for frame in frames]


def _say(monitor: socket.socket, command: str) -> None:
    """One of QEMU's monitor commands, up to its prompt."""
    monitor.sendall(command.encode() + b"\n")
    answer = b""
    while not answer.endswith(b"(qemu) ") or command.encode() not in answer:
        answer += monitor.recv(65536)


def _answer(
    monitor: socket.socket, wire: socket.socket, folder: Path, frame: bytes, entry: int
) -> tuple[bytes, list[int]]:
    time.sleep(QUIET)
    _say(monitor, "log exec,nochain,trace:virtio_mmio_write_offset")
    before = (folder / "log").stat().st_size if (folder / "log").exists() else 0
    wire.sendto(frame, str(folder / "far"))
    answer = wire.recv(65536)
    _say(monitor, "log none")
    path: list[int] = []
    for line in (folder / "log").read_text(errors="replace")[before:].splitlines():
        if found := EXECUTED.match(line):
            address = int(found[1], 16)
            if path or address == entry:
                path.append(address)
        elif path and NOTIFIED in line:
            return answer, path
    raise ValueError("no answer in the log")
