# SPDX-License-Identifier: MIT
"""Running a machine whose instructions are counted: the plugin profile_plugin.c, told where in this kernel things are.

Nothing in the kernel knows of it. What the plugin cannot see without are addresses and offsets: those of the kernel's
symbols and of the structures that the kernel keeps.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from exokernel.aegis import abi, environment, exceptions
from exokernel.host import plugin
from exokernel.host.build import Compiled, Image, build
from exokernel.host.machine import Options, find_qemu
from exokernel.host.run import machine_options, run_image, with_forwards
from exokernel.host.terminal import Failure
from exokernel.machine import paging
from exokernel.metal import offsetof, sizeof
from exokernel.metal.linker import symbols

PLUGIN = Path(__file__).with_name("profile_plugin.c")
LARGEST_MEMORY = 2048  # MiB; more is not in one piece, or not from physical address 0 on


def settings(kernel: Compiled) -> dict[str, int]:
    """What profile_plugin.c must know of a kernel."""
    names = symbols(kernel.elf)
    exception_frame = offsetof(abi.EnvironmentPage, "exception_frame")
    return {
        "kernel_base": paging.KERNEL_BASE,
        "direct_map": paging.DIRECT_MAP,
        "kernel_page": environment.KERNEL_PAGE,
        "system_page": names["exokernel.aegis.information.page"] - paging.KERNEL_BASE,
        "exceptions": names["exception_entries"],
        "exception_bytes": exceptions.ENTRY_BYTES,
        "system_call": names["system_call_entry"],
        "floating_call": names["floating_call_entry"],
        "idle": names["exokernel.aegis.calls.idle"],
        "idle_bytes": 16,
        "idle_environment": environment.IDLE,
        "user_limit": abi.USER_LIMIT,
        "records": names["exokernel.aegis.environment.records"],
        "record_bytes": sizeof(environment.Environment),
        "record_page": offsetof(environment.Environment, "page"),
        "record_kernel_page": offsetof(environment.Environment, "kernel_page"),
        "status": offsetof(abi.SystemPage, "environments"),
        "status_bytes": sizeof(abi.EnvironmentStatus),
        "status_generation": offsetof(abi.EnvironmentStatus, "generation"),
        "name_bytes": abi.NAME_BYTES,
        "context_ip": offsetof(environment.KernelPage, "context") + offsetof(abi.Context, "ip"),
        "exception_ip": exception_frame + offsetof(abi.ExceptionFrame, "ip"),
    }


def with_plugin(options: Options, image: Image, output: Path) -> Options:
    """`options` with the plugin, which writes to `output`; one instruction is one tick of the clock."""
    if options.memory > LARGEST_MEMORY:
        raise Failure(f"a machine is profiled with at most {LARGEST_MEMORY} MiB", "use less --memory")
    told = settings(image.kernel) | {"memory": options.memory << 20}
    extra = plugin.arguments(plugin.compiled(PLUGIN), out=output, **told)
    # Unless it is to be repeatable, idle time passes as everybody's does: servers have clients.
    clock = () if options.icount else ("-icount", "shift=0")
    return replace(options, accelerator="tcg", extra=(*options.extra, *clock, *extra))


def run_counted(parsed: argparse.Namespace, take: Callable[[Path, Image], None]) -> int:
    """`exo run`, counted; `take` gets what the plugin wrote, however the machine ended. The exit status."""
    if parsed.accel == "kvm":
        raise Failure("KVM executes instructions that nobody can count", "use --accel tcg")
    parsed.accel = "tcg"
    find_qemu()
    options = machine_options(parsed)
    image = build(parsed.applications, slice_ticks=parsed.slice_ticks)
    with tempfile.TemporaryDirectory(prefix="exo-") as folder:
        output = Path(folder, "counted")
        options = with_plugin(with_forwards(options, parsed, image.forward), image, output)
        try:
            return run_image(image, options, parsed.timeout, parsed.verbose)
        finally:
            if output.exists():
                take(output, image)
