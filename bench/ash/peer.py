# SPDX-License-Identifier: MIT
"""The counter of this exhibit answered by Linux (bench/peers/linux/echo.c): by sockets, by sockets of a process of real-time
priority, and by a program in the kernel, called by the driver (XDP native) or by the stack (XDP generic).

What Linux executes is logged by QEMU, one instruction at a time, while nothing else happens: from the first instruction
after the frame was sent, which is the interrupt's, to the store that tells the device of the answer. Linux knows the
client's station beforehand.
"""

import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from exokernel.host.initramfs import Entry
from exokernel.host.linux import COUNTED_KHZ, SHARED, Linux, compile_c
from exokernel.host.machine import Machine
from exokernel.host.wire import Wire, wire

MEANS = {"sockets": "sockets", "fifo": "sockets, SCHED_FIFO", "native": "XDP native", "generic": "XDP generic"}
NEIGHBOUR = "neighbour=10.0.0.1/02:00:00:00:00:aa"
QUIET = 0.5  # seconds without a frame, so that the machine sleeps when the next one comes
FRAMES = 9
TIMEOUT = 120.0
# An instruction takes a nanosecond, so that logging it makes no time pass in which the clock ticks; idle time is real.
CLOCK = ("-icount", "shift=0,sleep=on")
COUNTED = f"tsc_early_khz={COUNTED_KHZ}"  # of two the last one counts
EXECUTED = re.compile(r"^Trace \d+: ", re.MULTILINE)
NOTIFIED = "virtio_mmio_write offset 0x50 value 0x1"


@contextmanager
def answering(
    linux: Linux, means: str, busy: int = 0, words: str = "", **changes: object
) -> Iterator[tuple[Wire, Machine]]:
    """Linux on a wire, with the echo and so many processes that compute."""
    sources = {"init": "init.c", "bin/echo": "echo.c", "bin/busy": "busy.c"}
    files = linux.module_files() | {name: Entry(compile_c(SHARED / source), True) for name, source in sources.items()}
    services = f"echo:{means}" + (f",busy:{busy}" if busy else "")
    words = f"mitigations=off address=10.0.0.2 {NEIGHBOUR} services={services} {words}"
    with (
        wire() as cable,
        linux.machine(files, words, icount=False, link=cable.option, timeout=TIMEOUT, **changes) as machine,
    ):
        cable.guest = machine
        machine.wait_for(b"ready", 60)
        yield cable, machine


def latency(
    linux: Linux, means: str, processes: int, samples: int, measure: Callable[[Wire, int], list[float]]
) -> list[float]:
    """Nanoseconds of so many round trips, with so many active processes, the echo among them."""
    with answering(linux, means, processes - 1) as (cable, _):
        time.sleep(QUIET)
        return measure(cable, samples)


def paths(linux: Linux, means: str, frame: bytes) -> list[int]:
    """Instructions from the interrupt to the device, for each of FRAMES frames."""
    with tempfile.TemporaryDirectory(prefix="exo-") as name:
        log, monitor_path = Path(name, "log"), Path(name, "monitor")
        extra = ("-D", str(log), "-monitor", f"unix:{monitor_path},server=on,wait=off")
        with (
            answering(linux, means, words=COUNTED, extra=(*extra, *CLOCK)) as (cable, _),
            socket.socket(socket.AF_UNIX) as monitor,
        ):
            monitor.connect(str(monitor_path))
            monitor.settimeout(20)
            say(monitor, "singlestep on")
            return [path(cable, monitor, log, frame) for _ in range(FRAMES)]


def path(cable: Wire, monitor: socket.socket, log: Path, frame: bytes) -> int:
    """One of them."""
    time.sleep(QUIET)
    before = log.stat().st_size if log.exists() else 0
    say(monitor, "log exec,nochain,trace:virtio_mmio_write_offset")
    cable.send(frame)
    cable.receive()
    say(monitor, "log none")
    with log.open(errors="replace") as file:
        file.seek(before)
        text = file.read()
    if NOTIFIED not in text:
        raise ValueError("no answer in the log")
    return len(EXECUTED.findall(text[: text.index(NOTIFIED)]))


def say(monitor: socket.socket, command: str) -> None:
    """One of QEMU's monitor commands, up to its prompt."""
    monitor.sendall(command.encode() + b"\n")
    answer = b""
    while not answer.endswith(b"(qemu) ") or command.encode() not in answer:
        answer += monitor.recv(65536)
