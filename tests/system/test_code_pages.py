# SPDX-License-Identifier: MIT
"""The page tables of a running machine, as the processor walks them: no page of the kernel, of which the code of filters
and handlers changes all the time, is writable and executable, by any of its addresses.
"""

import json
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from exokernel.aegis import receiving
from exokernel.host.build import build
from exokernel.host.machine import Machine, Options
from exokernel.machine.paging import DIRECT_MAP, HANDLER_MAP
from exokernel.metal.linker import symbols

APPLICATION = Path(__file__).parent / "applications/changing.py"
MOMENTS = 20
BOTH = {(True, False), (False, True)}  # which place may be executed
PRESENT, WRITABLE, LARGE, NO_EXECUTE = 1, 2, 1 << 7, 1 << 63
ADDRESS = 0x000F_FFFF_FFFF_F000

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


class Monitor:
    """QEMU's own view of a guest (its QMP)."""

    def __init__(self, path: Path) -> None:
        deadline = time.monotonic() + 10
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("r")
        self.lines.readline()
        self.do("qmp_capabilities")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.lines.close()
        self.socket.close()

    def do(self, command: str, **arguments: object) -> object:
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(self.lines.readline())
            if "return" in answer:
                return answer["return"]
            assert "error" not in answer, answer

    def say(self, line: str) -> str:
        return str(self.do("human-monitor-command", **{"command-line": line}))


class Memory:
    """All of a stopped guest's."""

    def __init__(self, monitor: Monitor, file: Path, size: int) -> None:
        monitor.do("pmemsave", val=0, size=size, filename=str(file))
        self.bytes = file.read_bytes()
        registers = monitor.say("info registers")
        self.root = int(registers.split("CR3=")[1].split()[0], 16) & ADDRESS

    def entries(self, table: int) -> Iterator[tuple[int, int]]:
        for i, entry in enumerate(struct.unpack_from("<512Q", self.bytes, table)):
            if entry & PRESENT:
                yield i, entry

    def leaves(self) -> Iterator[tuple[int, int, int, bool, bool]]:
        """Every mapping: address, physical address, size, whether one may write and execute there (SDM volume 3, 4.5)."""
        for a, top in self.entries(self.root):
            for b, upper in self.entries(top & ADDRESS):
                for c, directory in self.entries(upper & ADDRESS):
                    start = a << 39 | b << 30 | c << 21
                    above = [top, upper, directory]
                    if directory & LARGE:
                        yield start, directory & ADDRESS & ~0x1FFFFF, 1 << 21, *allowed(above)
                        continue
                    if directory & ADDRESS >= len(self.bytes):
                        continue
                    for d, entry in self.entries(directory & ADDRESS):
                        yield start | d << 12, entry & ADDRESS, 4096, *allowed([*above, entry])


def allowed(entries: list[int]) -> tuple[bool, bool]:
    return all(e & WRITABLE for e in entries), not any(e & NO_EXECUTE for e in entries)


def roles_of(memory: Memory) -> dict[int, bool]:
    """The addresses of the kernel's half at which something is mapped, and whether it can be executed there. Nothing can be
    that, and written by this or another address.
    """
    writable, executable = set(), set()
    roles = {}
    for address, physical, size, may_write, may_execute in memory.leaves():
        assert not (may_write and may_execute), f"{address:#x}"
        pages = range(physical >> 12, (physical + size) >> 12)
        if may_write:
            writable.update(pages)
        if address >> 47:
            if may_execute:
                executable.update(pages)
            roles[address | 0xFFFF << 48] = may_execute
    assert not writable & executable
    return roles


def test_filter_code_is_never_writable_and_executable(tmp_path: Path) -> None:
    """At twenty moments or more at which the machine is stopped while filters change, until both places of the code have
    been seen in both roles. Each physical page, too: it is not writable by one address and executable by the kernel by
    another.
    """
    image = build([APPLICATION]).path
    spaces = symbols(image.read_bytes())["exokernel.aegis.receiving.spaces"]
    path = tmp_path / "qmp"
    options = Options(memory=16, extra=("-qmp", f"unix:{path},server=on,wait=off"))
    seen: set[tuple[bool, ...]] = set()
    with Machine(image, options) as guest:
        guest.wait_for(b"changing")
        with Monitor(path) as monitor:
            for moment in range(10 * MOMENTS):
                time.sleep(0.002 + 0.0007 * (moment % 11))
                monitor.do("stop")
                memory = Memory(monitor, tmp_path / "memory", 16 << 20)
                monitor.do("cont")
                roles = roles_of(memory)
                seen.add(tuple(roles[spaces + i * receiving.CODE_PAGES * 4096] for i in range(2)))
                if moment >= MOMENTS and seen >= BOTH:
                    break
    assert seen >= BOTH, seen


def test_handler_code_is_never_writable_and_executable(tmp_path: Path) -> None:
    """The same while handlers come and go. When all have gone, the kernel's map of all memory is in large pages again."""
    image = build([APPLICATION.with_name("changing_handlers.py")]).path
    path = tmp_path / "qmp"
    options = Options(memory=16, extra=("-qmp", f"unix:{path},server=on,wait=off"))
    split, seen = 0, 0
    with Machine(image, options) as guest, Monitor(path) as monitor:
        guest.wait_for(b"changing")
        done = False
        for moment in range(10 * MOMENTS):
            time.sleep(0.002 + 0.0007 * (moment % 11))
            done = b"done" in guest.console
            monitor.do("stop")
            roles = roles_of(Memory(monitor, tmp_path / "memory", 16 << 20))
            monitor.do("cont")
            seen += any(may_execute for address, may_execute in roles.items() if in_map(address, HANDLER_MAP))
            pages = sum(in_map(address, DIRECT_MAP) for address in roles)
            split = max(split, pages)
            if done:
                break
        guest.wait_for(b"done", 60)
        roles = roles_of(Memory(monitor, tmp_path / "memory", 16 << 20))
        assert not any(in_map(address, HANDLER_MAP) for address in roles)
        assert sum(in_map(address, DIRECT_MAP) for address in roles) == WHOLE
    assert seen > 1 and split > WHOLE


WHOLE = 511 + 512  # the kernel's image is in pages of 4 KiB, the rest of the first GiB in those of 2 MiB


def in_map(address: int, start: int) -> bool:
    """Of the two that are 512 GiB each."""
    return start <= address < start + (512 << 30)
