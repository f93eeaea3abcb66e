# SPDX-License-Identifier: MIT
"""Running a machine under observation: the plugin observe.c, told where in this kernel things are.

Nothing in the kernel knows of it. What the plugin cannot see without are addresses and offsets: those of the kernel's
symbols and of the structures that the kernel keeps.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from exokernel.aegis import abi, environment, exceptions, lines
from exokernel.host import plugin
from exokernel.host.build import Compiled, Image, build
from exokernel.host.cli import machine_options, run_image, with_forwards
from exokernel.host.machine import Options, find_qemu
from exokernel.host.terminal import Failure
from exokernel.machine import paging
from exokernel.metal import offsetof, sizeof
from exokernel.metal.linker import symbols

PLUGIN = Path(__file__).with_name("observe.c")
LARGEST_MEMORY = 2048  # MiB; more is not in one piece, or not from physical address 0 on


def settings(kernel: Compiled) -> dict[str, int]:
    """What observe.c must know of a kernel."""
    names = symbols(kernel.elf)
    calls, page = "exokernel.aegis.calls.", abi.EnvironmentPage
    status = offsetof(abi.SystemPage, "environments")
    return {
        "kernel_base": paging.KERNEL_BASE,
        "direct_map": paging.DIRECT_MAP,
        "kernel_page": environment.KERNEL_PAGE,
        "system_page": names["exokernel.aegis.information.page"] - paging.KERNEL_BASE,
        "entries": names[f"{calls}ENTRIES"],
        "floating_entries": names[f"{calls}FLOATING_ENTRIES"],
        "exceptions": names["exception_entries"],
        "exception_bytes": exceptions.ENTRY_BYTES,
        "system_call": names["system_call_entry"],
        "floating_call": names["floating_call_entry"],
        "timer": names[f"{calls}timer_entry"],
        "device": names[f"{calls}device_entry"],
        "lines": names["line_entries"],
        "line_bytes": lines.ENTRY_BYTES,
        "lines_bytes": lines.ENTRY_BYTES * abi.LINES,
        "floating": names[f"{calls}floating_entry"],
        "stray": names[f"{calls}stray_entry"],
        "idle": names[f"{calls}idle"],
        "idle_bytes": 16,
        "idle_environment": environment.IDLE,
        "user_limit": abi.USER_LIMIT,
        "records": names["exokernel.aegis.environment.records"],
        "record_bytes": sizeof(environment.Environment),
        "record_page": offsetof(environment.Environment, "page"),
        "record_kernel_page": offsetof(environment.Environment, "kernel_page"),
        "status": status,
        "status_bytes": sizeof(abi.EnvironmentStatus),
        "status_state": offsetof(abi.EnvironmentStatus, "state"),
        "status_generation": offsetof(abi.EnvironmentStatus, "generation"),
        "name_bytes": abi.NAME_BYTES,
        "context_ip": offsetof(environment.KernelPage, "context") + offsetof(abi.Context, "ip"),
        "pending": offsetof(page, "pending"),
        "event_entry": offsetof(page, "event_entry"),
        "slice_start_entry": offsetof(page, "slice_start_entry"),
        "slice_end_entry": offsetof(page, "slice_end_entry"),
        "exception_ip": offsetof(page, "exception_frame") + offsetof(abi.ExceptionFrame, "ip"),
        "exception_address": offsetof(page, "exception_frame") + offsetof(abi.ExceptionFrame, "address"),
        "counters": offsetof(abi.SystemPage, "network"),
        "counters_bytes": sizeof(abi.NetworkStatistics) + sizeof(abi.EventCounts),
    }


def observed(options: Options, image: Image, output: Path, **chosen: int) -> Options:
    """`options` with the plugin, which writes to `output`; one instruction is one tick of the clock."""
    if options.memory > LARGEST_MEMORY:
        raise Failure(f"a machine is observed with at most {LARGEST_MEMORY} MiB", "use less --memory")
    told = settings(image.kernel) | {"memory": options.memory << 20} | chosen
    extra = plugin.arguments(plugin.compiled(PLUGIN), out=output, **told)
    # Unless it is to be repeatable, idle time passes as everybody's does: servers have clients.
    clock = () if options.icount else ("-icount", "shift=0")
    return replace(options, accelerator="tcg", extra=(*options.extra, *clock, *extra))


def observe(parsed: argparse.Namespace, take: Callable[[Path, Image], None], **chosen: int) -> int:
    """`exo run` under observation; `take` gets what the plugin wrote, however the machine ended. The exit status."""
    if parsed.accel == "kvm":
        raise Failure("KVM executes instructions that nobody can observe", "use --accel tcg")
    parsed.accel = "tcg"
    find_qemu()
    options = machine_options(parsed)
    image = build(parsed.applications, slice_ticks=parsed.slice_ticks)
    with tempfile.TemporaryDirectory(prefix="exo-") as folder:
        output = Path(folder, "observed")
        options = observed(with_forwards(options, parsed, image.forward), image, output, **chosen)
        try:
            return run_image(image, options, parsed.timeout, parsed.verbose)
        finally:
            if output.exists():
                take(output, image)
