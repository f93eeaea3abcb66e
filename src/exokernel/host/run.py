# SPDX-License-Identifier: MIT
"""Running an image as the command line asks: on which machine, with our terminal as its console. `exo run` and all that
watches a machine go through here.
"""

import argparse
import signal
from dataclasses import replace

from exokernel.host.build import Compiled, Image
from exokernel.host.machine import Event, Forward, Link, Machine, MachineError, Options
from exokernel.host.terminal import GREEN, Failure, paint, say, warn

TIMED_OUT, NO_ORDERLY_END = 124, 70  # exit status, as of timeout(1) and EX_SOFTWARE


def run_image(image: Image, options: Options, timeout: float, verbose: bool) -> int:
    """Run an image with our terminal as its console; the exit status."""

    def show(event: Event) -> None:
        """Runs in the machine's thread."""
        crashed = event.name == "panic" or event.values.get("reason") == "exception"
        if crashed:
            from exokernel.host.report import crash

            say(crash(event, image.kernel, image.applications))
        elif verbose:
            words = " ".join(f"{k}={v}" for k, v in event.values.items())
            say(f"{event.at * 1000:7.1f} ms  {event.name} {words}")

    machine = Machine(image.path, options, capture=False, timeout=timeout, on_event=show)
    try:
        machine.start()
        if verbose:
            say(f"built in {image.seconds * 1000:.0f} ms: {parts(image.kernel, *image.applications)}")
            say(machine.command_text)
        for forward in options.forward if not options.link else ():
            here = f"127.0.0.1:{forward.host_port}/{forward.protocol}"
            say(f"{paint('forward', GREEN)}: {here} to the guest's port {forward.guest_port}")
        status = machine.wait()
    except MachineError:
        warn(f"still running after {timeout:g} s, stopped")
        return TIMED_OUT
    finally:
        machine.stop()
    for line in machine.complaints:
        say(line)
    if machine.status is not None:
        return machine.status & 0xFF
    if any(event.name == "panic" for event in machine.events):
        return NO_ORDERLY_END
    if machine.complaints and status == 1 and not machine.events:
        raise Failure("QEMU did not start the machine; what it said is above")
    if status == -signal.SIGPIPE:
        return 128 + signal.SIGPIPE  # whoever read the console has gone
    if status < 0:
        hint = "this computer's KVM may not be sound: ./exo doctor tries it; --accel tcg works everywhere"
        hint = hint if options.accelerator == "kvm" else ""
        raise Failure(f"QEMU was ended by signal {-status}", hint, NO_ORDERLY_END)
    raise Failure(
        f"the machine stopped without an orderly end (QEMU's status {status})",
        "the processor met an exception that the kernel could not take; -v shows how far it came",
        NO_ORDERLY_END,
    )


def parts(*programs: Compiled) -> str:
    return ", ".join(f"{p.name} {'unchanged' if not p.seconds else f'{p.seconds * 1000:.0f} ms'}" for p in programs)


def machine_options(parsed: argparse.Namespace) -> Options:
    """The machine that the command line asks for, all but the application's own forwards."""
    from exokernel.host.kvm import choose_accelerator

    link = Link.parse(parsed.link) if parsed.link else None
    if link and parsed.forward:
        raise Failure("--forward and --link exclude each other", "--link carries frames, so the far end does the rest")
    if parsed.icount and parsed.accel == "kvm":
        raise Failure("--icount counts emulated instructions, so it cannot be used with KVM", "use --accel tcg")
    return Options(
        machine=parsed.machine,
        accelerator="tcg" if parsed.icount else choose_accelerator(parsed.accel),
        memory=parsed.memory,
        icount=parsed.icount,
        link=link,
        pcap=parsed.pcap,
        extra=parsed.extra,
    )


def with_forwards(options: Options, parsed: argparse.Namespace, declared: tuple[str, ...]) -> Options:
    """`options` with the ports of the command line, or else with those that the applications declare."""
    if options.link:
        return options
    wanted = parsed.forward if parsed.forward is not None else declared
    return replace(options, forward=tuple(Forward.parse(text) for text in wanted))
