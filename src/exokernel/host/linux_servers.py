# SPDX-License-Identifier: MIT
"""Servers on the peer, from Debian's packages: nginx and redis, beside the meter that tells what the machine works.

Their programs lie in the initramfs with the libraries that they need, and nothing else of their packages. They are
configured as whoever wants them fast would (bench/peers/linux).
"""

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from exokernel.host import debian
from exokernel.host.counting import free_port, look
from exokernel.host.initramfs import Entry
from exokernel.host.linux import SETTINGS, SHARED, Linux, compile_c
from exokernel.host.machine import Forward, Link, Machine
from exokernel.host.namespace import GUEST
from exokernel.host.terminal import Failure

METER_PORT = 81
USERS = {
    "etc/passwd": Entry(b"root:x:0:0::/:/x\nnobody:x:65534:65534::/:/x\nwww-data:x:33:33::/:/x\n"),
    "etc/group": Entry(b"root:x:0:\nnogroup:x:65534:\nwww-data:x:33:\n"),
}
LIBRARIES = "lib/x86_64-linux-gnu"
PATIENCE = 60.0  # seconds until a server is there
SETTLED = 0.01  # a turn may cost so much more or less: what the asking costs


class Service(NamedTuple):
    """A server: its package, where its program is, its argument, its port, and what else lies in the file system."""

    package: str
    program: str
    argument: str
    port: int
    files: dict[str, Entry]


class Server(NamedTuple):
    """Ports of this computer that lead to the service and to the meter (0 when on a link)."""

    port: int
    work: int
    machine: Machine


def nginx(page: bytes) -> Service:
    """Serves `page` at /."""
    files = {"www/index.html": Entry(page), "etc/nginx.conf": Entry((SHARED / "nginx.conf").read_bytes())}
    files["var/log/nginx/empty"] = Entry(b"")
    return Service("nginx", "usr/sbin/nginx", "-c/etc/nginx.conf", 80, files)


def redis() -> Service:
    """Keys and values."""
    files = {"etc/redis.conf": Entry((SHARED / "redis.conf").read_bytes())}
    return Service("redis-server", "usr/bin/redis-server", "/etc/redis.conf", 6379, files)


@contextmanager
def serving(
    linux: Linux, service: Service, setting: str = SETTINGS[""], *, link: Link | None = None, **changes: Any
) -> Iterator[Server]:
    """A machine with the service and the meter, behind QEMU's user network or on a link, with one of linux.SETTINGS.
    Raises `Failure`, `MachineError`.
    """
    files = linux.module_files() | USERS | service.files | closure(service.package, service.program)
    files |= {
        "init": Entry(compile_c(SHARED / "init.c"), True),
        "bin/meter": Entry(compile_c(SHARED / "meter.c"), True),
    }
    address = "address=10.0.0.2" if link else "address=10.0.2.15 gateway=10.0.2.2"
    words = f"{setting} {address} services=/{service.program}:{service.argument},meter"
    port, work = (service.port, 0) if link else (free_port(), free_port())
    rules = [] if link else [f"tcp:{port}:{service.port}", f"tcp:{work}:{METER_PORT}"]
    forward = tuple(Forward.parse(rule) for rule in rules)
    with linux.machine(files, words, link=link, forward=forward, **changes) as machine:
        machine.wait_for(b"ready", PATIENCE)
        if work:
            settle(work)
        else:
            await_service(GUEST, service.port)
        yield Server(port, work, machine)


def await_service(address: str, port: int) -> None:
    """Wait until somebody listens there: the machine is ready before its service is. Raises `Failure`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address, port), timeout=PATIENCE).close()
            return
        except OSError:
            time.sleep(0.1)
    raise Failure(f"nobody listened on {address}:{port} in {PATIENCE:g} s")


def settle(work: int) -> None:
    """Wait until the machine does nothing: a turn of the meter takes what it took before. Raises `Failure`."""
    deadline = time.monotonic() + PATIENCE
    price = 0.0
    while time.monotonic() < deadline:
        before = look(work)
        time.sleep(0.3)
        after = look(work)
        last, price = price, (after[0] - before[0]) / (after[1] - before[1] or 1)
        if abs(price - last) < price * SETTLED:
            return
    raise Failure(f"Linux did not become idle in {PATIENCE:g} s")


def closure(package: str, program: str) -> dict[str, Entry]:
    """A program of a package with the libraries that it needs, where its loader looks for them. Raises `Failure`."""
    packages = debian.libraries(package)
    opened = [debian.unpacked(package)]

    def find(name: str) -> Path:
        """In what is unpacked, or what is unpacked next."""
        looked = 0
        while True:
            while looked < len(opened):
                for path in sorted(opened[looked].rglob(name)):
                    if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
                        return path
                looked += 1
            try:
                opened.append(debian.unpacked(next(packages)))
            except StopIteration:
                raise Failure(f"{name}, which {package} needs, is in none of the packages that it depends on") from None

    start = opened[0] / program  # it may be another name of a program in another package
    name = start.readlink().name if start.is_symlink() else start.name
    found = {program: Entry(find(name).read_bytes(), executable=True)}
    wanted = needs(found[program].data)
    while wanted:
        name = wanted.pop()
        place = name.removeprefix("/") if name.startswith("/") else f"{LIBRARIES}/{name}"
        if place not in found:
            found[place] = Entry(find(Path(name).name).read_bytes(), executable=True)
            wanted += needs(found[place].data)
    return found


def needs(binary: bytes) -> list[str]:
    """The libraries that an executable names, and its loader, by its path."""
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import InterpSegment

    found: list[str] = []
    for segment in ELFFile(BytesIO(binary)).iter_segments():
        if isinstance(segment, InterpSegment):
            found.append(segment.get_interp_name())
        elif isinstance(segment, DynamicSegment):
            tags: Iterable[Any] = segment.iter_tags("DT_NEEDED")
            found += [tag.needed for tag in tags]
    return found
