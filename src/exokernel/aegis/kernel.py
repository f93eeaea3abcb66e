# SPDX-License-Identifier: MIT
"""Where the kernel starts: from the boot loader's information to the first application. It runs once, before there is
anybody to protect; whatever fails here ends the machine with a word about the reason.
"""

from exokernel.aegis import (
    bundle,
    calls,
    capability,
    ending,
    environment,
    exceptions,
    floating,
    frames,
    handlers,
    information,
    lines,
    network,
    processor,
    trace,
)
from exokernel.aegis.abi import FRAME_KERNEL
from exokernel.machine import boot, cpu, interrupts, paging, serial, timer
from exokernel.metal import Array, addr, aligned, export, noreturn, u8, u32, u64

OUTPUT = serial.write  # where `print` goes

FATAL_STACK_BYTES = 4096
fatal_stack: Array[u8, FATAL_STACK_BYTES] = aligned(16, Array[u8, FATAL_STACK_BYTES]())


@export
@noreturn
def kernel_start(start_information: u64) -> None:
    """`boot` jumps here, in 64-bit mode, on the kernel's stack, with interrupts off and the boot's page tables."""
    started = cpu.read_timestamp()
    take_exceptions()
    reserve_memory(start_information)
    cpu.enable_system_calls(u64(calls.system_call_entry))
    interrupts.initialize()
    information.page.timestamp_frequency = timer.timestamp_frequency()
    network.initialize()
    handlers.initialize()
    capability.initialize()
    print(f"boot instructions={started:#x} memory={boot.memory_frames * paging.PAGE:#x}")
    start_programs()
    timer.start(slice_length())
    calls.enter(u64(processor.next_slice()))


def take_exceptions() -> None:
    """From here on a mistake of the kernel's is a panic and no silent reset."""
    cpu.load_descriptors(
        paging.OWN_PAGES + paging.PAGE,
        environment.KERNEL_PAGE + paging.PAGE,
        u64(addr(fatal_stack)) + FATAL_STACK_BYTES,
    )
    for vector in range(256):
        interrupts.set_gate(vector, u64(calls.stray_entry), 1, 0)
    exceptions.initialize()
    lines.initialize()
    interrupts.set_gate(floating.UNAVAILABLE, u64(calls.floating_entry), 1, 0)
    interrupts.set_gate(interrupts.TIMER, u64(calls.timer_entry), 1, 0)
    interrupts.set_gate(interrupts.DEVICE, u64(calls.device_entry), 1, 0)
    interrupts.load_table()


def reserve_memory(start_information: u64) -> None:
    """Places the kernel's tables behind image and bundle; the boot's page tables are left for the idle environment's."""
    if not boot.read_memory_map(start_information):
        ending.panic(b"no-memory-map")
    layout = paging.ImageLayout()
    boot.describe_image(layout)
    if layout.end - layout.code > paging.IMAGE_FRAMES:
        ending.panic(b"kernel-too-large")
    if not bundle.open_at(layout.end):
        ending.panic(b"no-bundle")
    first = bundle.end_frame() + trace.FRAMES
    if not frames.table_fits(first + paging.shared_tables(boot.memory_end)):
        ending.panic(b"memory-too-small")
    free = paging.build(first, boot.memory_end, layout)
    frames.initialize(free, layout.code)
    bundle.publish()
    trace.publish(bundle.end_frame())
    if not environment.claim_parts(FRAME_KERNEL):
        ending.panic(b"memory-too-small")
    environment.assemble(environment.IDLE)
    cpu.load_root(environment.records[environment.IDLE].root)
    cpu.protect()
    calls.prepare_idle()


def start_programs() -> None:
    """Makes an environment of each of the bundle's first programs, and gives each a slice."""
    processor.initialize()
    count = u64(bundle.header().boot_count)
    if count == 0 or count > min(environment.ENVIRONMENTS, bundle.header().program_count):
        ending.panic(b"bad-bundle")
    for i in range(count):
        if not bundle.load(i):
            ending.panic(b"program-does-not-fit")
    for i in range(count):
        if processor.give_slice(i):
            processor.start(i)
        print(f"start environment={i:#x} name=", end="")
        print(ending.name_of(i), end="")
        print(f" timestamp={cpu.read_timestamp():#x}")


def slice_length() -> u32:
    """What the bundle asks for, in timer ticks, or the default."""
    ticks = bundle.header().slice_ticks
    if ticks == 0:
        ticks = timer.DEFAULT_SLICE
    ticks = max(ticks, timer.SHORTEST_SLICE)
    information.page.slice_ticks = ticks
    return ticks


ENTRY = kernel_start
