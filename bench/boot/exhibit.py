# SPDX-License-Identifier: MIT
"""How long until the first application runs, and how large that is.

Wall time is from the start of the QEMU process to the line of the control channel: `boot`, when the kernel begins, and
`start`, just before the first instruction of the application; each run is a new QEMU, microvm, software emulation.
Instructions are the time-stamp counter of the same lines under `-icount shift=0`, where it counts instructions exactly.
`memory-bytes` is the smallest machine, in whole MiB, in which examples/hello.py ends well.

Linux's application is its first process, of a few instructions, in a first root file system that holds nothing else.
`bzImage` is the kernel as Debian ships it, which unpacks itself; `vmlinux` has been unpacked; `tuned` has a command line
that leaves out all that this machine does not need.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from exokernel.host.build import REPOSITORY, build
from exokernel.host.exhibit import Context, Figure
from exokernel.host.initramfs import Entry
from exokernel.host.linux import COMMAND_LINE, Linux, compile_c
from exokernel.host.machine import Machine, MachineError, measured
from exokernel.host.terminal import Failure
from exokernel.metal.linker import segments

TIMEOUT = 20.0  # seconds of one boot
SMALLEST, LARGEST = 1, 64  # MiB
LINUX_START = Path(__file__).with_name("linux_start.c")
LINUX_LARGEST = 256  # MiB
TUNED = (
    "quiet loglevel=0 panic=-1 reboot=t tsc=reliable no_timer_check i8042.noaux i8042.nomux i8042.nopnp i8042.dumbkbd "
    "8250.nr_uarts=0 random.trust_cpu=on random.trust_bootloader=on cryptomgr.notests nokaslr norandmaps "
    "rcupdate.rcu_expedited=1 init_on_alloc=0 page_alloc.shuffle=0 apparmor=0 audit=0 security=none "
    "cgroup_disable=memory,pressure psi=0 nmi_watchdog=0 nowatchdog ipv6.disable=1 pci=off nomodeset mitigations=off"
)


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
    smallest = smallest_memory(lambda memory: works(image.path, memory), LARGEST)
    yield context.figure("memory-bytes", "bytes", [smallest << 20])


def peer_rows(context: Context, linux: Linux) -> Iterable[Figure]:
    """The same of Linux."""
    files = {"init": Entry(compile_c(LINUX_START, bare=True), executable=True)}
    plain = f"{COMMAND_LINE} mitigations=off"
    ways = (("vmlinux, tuned", linux.kernel, TUNED), ("vmlinux", linux.kernel, plain), ("bzImage", linux.image, plain))
    for variant, kernel, words in ways:
        with linux.machine(files, command_line=words, kernel=kernel, timeout=TIMEOUT * 3) as machine:
            machine.wait()
            count = machine.wait_for_event("start").number("timestamp") or 0
        yield context.figure("to-application", "instructions", [count], "linux", variant)
    for variant, kernel, words in (ways[0], ways[-1]):
        times = []
        for _ in range(min(context.runs, 5)):
            with linux.machine(files, command_line=words, kernel=kernel, timeout=TIMEOUT, icount=False) as machine:
                times.append(machine.wait_for_event("start", TIMEOUT).at * 1e9)
        yield context.figure("to-application", "ns", times, "linux", variant)
    kernels = (("bzImage", linux.image.stat().st_size), ("loaded", loaded_bytes(linux.kernel.read_bytes())))
    for variant, size in kernels:
        yield context.figure("image-bytes", "bytes", [size + len(files["init"].data)], "linux", variant)

    def works_there(memory: int) -> bool:
        try:
            with linux.machine(files, command_line=TUNED, memory=memory, timeout=TIMEOUT, icount=False) as machine:
                return machine.wait_for_event("start", TIMEOUT).number("timestamp") is not None
        except (MachineError, Failure):
            return False

    smallest = smallest_memory(works_there, LINUX_LARGEST)
    yield context.figure("memory-bytes", "bytes", [smallest << 20], "linux", "vmlinux, tuned")


def loaded_bytes(image: bytes) -> int:
    """What is loaded into memory, zero-initialised memory apart."""
    return sum(len(segment.data) for segment in segments(image))


def smallest_memory(works: Callable[[int], bool], largest: int) -> int:
    """The least memory, in MiB, with which the machine does what it should: by halving."""
    low, high = SMALLEST, largest
    while low < high:
        middle = (low + high) // 2
        if works(middle):
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
