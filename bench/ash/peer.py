# SPDX-License-Identifier: MIT
"""The counter of this exhibit answered by Linux (bench/peers/linux/echo.c): by sockets, by sockets of a process of real-time
priority, and by a program in the kernel, called by the driver (XDP native) or by the stack (XDP generic).

What Linux executes is logged by QEMU, one instruction at a time, while nothing else happens: from the first instruction
after the frame was sent, which is the interrupt's, to the store that tells the device of the answer. Linux knows the
client's station beforehand.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from exokernel.host.exhibit import EXHIBITS, load
from exokernel.host.initramfs import Entry
from exokernel.host.linux import COUNTED_KHZ, SETTINGS, SHARED, Linux, compile_c
from exokernel.host.machine import Machine
from exokernel.host.wire import Wire, wire

path = load("ash_path", EXHIBITS / "ash/path.py")
MEANS = {"sockets": "sockets", "fifo": "sockets, SCHED_FIFO", "native": "XDP native", "generic": "XDP generic"}
NEIGHBOUR = "neighbour=10.0.0.1/02:00:00:00:00:aa"
FRAMES = 9
TIMEOUT = 120.0
# An instruction takes a nanosecond, so that logging it makes no time pass in which the clock ticks; idle time is real.
CLOCK = ("-icount", "shift=0,sleep=on")
COUNTED = f"tsc_early_khz={COUNTED_KHZ}"  # of two the last one counts


@contextmanager
def answering(
    linux: Linux, means: str, busy: int = 0, words: str = SETTINGS[""], **changes: object
) -> Iterator[tuple[Wire, Machine]]:
    """Linux on a wire, with the echo and so many processes that compute."""
    sources = {"init": "init.c", "bin/echo": "echo.c", "bin/busy": "busy.c"}
    files = linux.module_files() | {name: Entry(compile_c(SHARED / source), True) for name, source in sources.items()}
    services = f"echo:{means}" + (f",busy:{busy}" if busy else "")
    words = f"address=10.0.0.2 {NEIGHBOUR} services={services} {words}"
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
        time.sleep(path.QUIET)
        return measure(cable, samples)


def paths(linux: Linux, means: str, setting: str, frame: bytes) -> list[int]:
    """Instructions from the interrupt to the device, for each of FRAMES frames, with one of linux.SETTINGS."""
    with (
        path.logging() as log,
        answering(linux, means, words=f"{setting} {COUNTED}", extra=(*log.arguments, *CLOCK)) as (cable, _),
    ):
        log.attach()
        return [len(log.exchange(cable, frame)[1]) for _ in range(FRAMES)]
