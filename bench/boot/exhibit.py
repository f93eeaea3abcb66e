# SPDX-License-Identifier: MIT
"""How long until the first application runs, and how large that is.

Wall time is from the start of the QEMU process to the line of the control channel: `boot`, when the kernel begins, and
`start`, just before the first instruction of the application; each run is a new QEMU, microvm, software emulation.
Instructions are the time-stamp counter of the same lines under `-icount shift=0`, where it counts instructions exactly.
`memory-bytes` is the smallest machine, in whole MiB, in which examples/hello.py ends well.
"""

from collections.abc import Iterable
from pathlib import Path

from exokernel.host.bench import Context, Figure
from exokernel.host.build import REPOSITORY, build
from exokernel.host.machine import Machine, MachineError, measured
from exokernel.host.terminal import Failure
from exokernel.metal.linker import segments

TIMEOUT = 20.0  # seconds of one boot
SMALLEST, LARGEST = 1, 64  # MiB


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    image = build([REPOSITORY / "examples/hello.py"])
    to_kernel, to_application = [], []
    for _ in range(context.runs):
        with Machine(image.path, measured(), timeout=TIMEOUT) as machine:
            to_kernel.append(machine.wait_for_event("boot", TIMEOUT).at * 1e9)
            to_application.append(machine.wait_for_event("start", TIMEOUT).at * 1e9)
            machine.wait()
    yield context.figure("to-kernel", "ns", to_kernel)
    yield context.figure("to-application", "ns", to_application)

    kernel_count, application_count = [], []
    for _ in range(min(context.runs, 3)):  # exact, so more runs would only show the same
        with Machine(image.path, measured(icount=True), timeout=TIMEOUT) as machine:
            machine.wait()
            kernel_count.append(machine.wait_for_event("boot").number("instructions") or 0)
            application_count.append(machine.wait_for_event("start").number("timestamp") or 0)
    yield context.figure("to-kernel", "instructions", kernel_count)
    yield context.figure("to-application", "instructions", application_count)

    yield context.figure("image-bytes", "bytes", [image.path.stat().st_size], variant="with debug information")
    yield context.figure("image-bytes", "bytes", [loaded_bytes(image.data)], variant="loaded")
    yield context.figure("memory-bytes", "bytes", [smallest_memory(image.path) << 20])


def loaded_bytes(image: bytes) -> int:
    """What is loaded into memory, zero-initialised memory apart."""
    return sum(len(segment.data) for segment in segments(image))


def smallest_memory(image: Path) -> int:
    """The least memory, in MiB, with which the machine ends in order: by halving."""
    low, high = SMALLEST, LARGEST
    while low < high:
        middle = (low + high) // 2
        if works(image, middle):
            high = middle
        else:
            low = middle + 1
    return high


def works(image: Path, memory: int) -> bool:
    """Whether the image runs in so many MiB."""
    try:
        with Machine(image, measured(memory=memory), timeout=TIMEOUT) as machine:
            machine.wait()
            return machine.status == 0
    except (MachineError, Failure):
        return False
