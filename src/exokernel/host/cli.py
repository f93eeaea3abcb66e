# SPDX-License-Identifier: MIT
"""The command line: `./exo VERB ...`. One function a verb; what it needs is imported when it runs, to start fast.

Standard output carries the guest's console or data, everything of ours goes to stderr. A user's mistake is one error
and exit status 2, never a traceback; a mistake of ours says so.
"""

import argparse
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from exokernel.host.build import REPOSITORY, build
from exokernel.host.machine import (
    Stopped,
    ending_on_signals,
    find_qemu,
)
from exokernel.host.run import machine_options, parts, run_image, with_forwards
from exokernel.host.terminal import GREEN, Failure, colored, paint, say

RUN_TIMEOUT = 24 * 3600.0  # seconds; a server runs until Ctrl-C, but nothing runs for ever
INTERNAL_ERROR = 70  # exit status, EX_SOFTWARE
CANNOT_WRITE, FULL = 2, (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
ACCELERATORS = ("auto", "tcg", "kvm")
MACHINES = ("microvm", "pc", "q35")


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    fill_closed_streams()
    try:
        with ending_on_signals():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # what `exo` held back while Python started
            try:
                parsed = parse(words)
                verb: Callable[[argparse.Namespace], int] = parsed.verb
                return verb(parsed)
            finally:
                sys.stdout.flush()  # a full disk is found out here, not when the interpreter ends
    except Failure as failure:
        say(failure.render(colored()))
        return failure.status
    except Stopped as stopped:
        return stopped.status
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered has no place either
            say(Failure(f"cannot write {error.filename or 'the output'}: {error.strerror}").render(colored()))
            return CANNOT_WRITE
        if os.environ.get("EXO_TRACEBACK"):
            raise
        bug = Failure(
            f"a bug in exo: {type(error).__name__}: {error}",
            "please report it with the command; EXO_TRACEBACK=1 shows where it happened",
        )
        say(bug.render(colored()))
        return INTERNAL_ERROR


def fill_closed_streams() -> None:
    """What was closed by whoever started us becomes the null device, so that nothing that we open gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free, so this one
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115 - as long as we run


def parse(words: list[str]) -> argparse.Namespace:
    """The command line as a namespace, with its function as `verb`."""

    # What follows `--` goes to QEMU; `test` hands everything to pytest.
    if words[:1] == ["test"]:
        return argparse.Namespace(verb=test, arguments=words[1:])
    words, extra = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    parser = argparse.ArgumentParser(
        prog="exo", description="Aegis, an exokernel, and ExOS, its library operating system, in typed Python."
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    run_parser = verbs.add_parser(
        "run",
        help="compile applications with the kernel and run them in a virtual machine",
        description="Compile applications with the kernel and run them under QEMU. The exit status is that of the "
        "first application: 128 and the exception's number if it crashed, 124 when the time is over, 70 after a kernel "
        "panic.",
        epilog="What follows -- goes to QEMU as it is; -- -M pc chooses another machine.",
    )
    _applications(run_parser)
    _machine_arguments(run_parser)
    _timeout(run_parser)
    run_parser.set_defaults(verb=run)

    build_parser = verbs.add_parser("build", help="make a bootable image", description="Compile and write an image.")
    _applications(build_parser)
    build_parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the ELF file to write")
    build_parser.add_argument("-v", "--verbose", action="store_true", help="say what took how long")
    build_parser.set_defaults(verb=build_image)

    test_parser = verbs.add_parser("test", help="run the tests; arguments are pytest's")
    test_parser.set_defaults(verb=test)

    debug_parser = verbs.add_parser(
        "debug",
        help="run under gdb, at Python source level",
        description="Start the machine stopped, with gdb attached and the symbols of kernel and applications loaded.",
        epilog="In gdb: hbreak FILE.py:LINE or hbreak FUNCTION (hardware breakpoints, as nothing is loaded yet), then "
        "continue.",
    )
    _applications(debug_parser)
    _machine_arguments(debug_parser)
    debug_parser.add_argument(
        "--batch", type=Path, metavar="FILE", help="run gdb on a file of commands, without a person"
    )
    debug_parser.add_argument(
        "--timeout", type=_seconds, default=RUN_TIMEOUT, metavar="S", help="end the machine after so many seconds"
    )
    debug_parser.set_defaults(verb=debug)

    trace_parser = verbs.add_parser(
        "trace",
        help="run, and write what kernel and applications did when, for ui.perfetto.dev",
        description="Run with a kernel that records every entry, switch, fault, event and packet with its time, and write a "
        "file that Perfetto's viewer (https://ui.perfetto.dev) opens.",
        epilog="Recording costs the kernel 112 instructions for each entry. Without it, it costs none.",
    )
    _applications(trace_parser)
    _machine_arguments(trace_parser)
    _timeout(trace_parser)
    trace_parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the trace to write; FILE.gz is compressed"
    )
    trace_parser.add_argument(
        "--events", type=_positive, default=500_000, metavar="N", help="keep the last N records (default: 500000)"
    )
    trace_parser.set_defaults(verb=trace)

    profile_parser = verbs.add_parser(
        "profile",
        help="run, and count the instructions of each function, exactly",
        description="Run under the emulator and count every instruction by the stack of Python functions that led to it, "
        "of applications and kernel. Shows the functions that took most.",
        epilog="The guest executes the same instructions as without it.",
    )
    _applications(profile_parser)
    _machine_arguments(profile_parser)
    _timeout(profile_parser)
    profile_parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write folded stacks for a flame graph; - is standard output"
    )
    profile_parser.set_defaults(verb=profile)

    doctor_parser = verbs.add_parser("doctor", help="check what this computer has and what is missing")
    doctor_parser.set_defaults(verb=doctor)

    ash_parser = verbs.add_parser("ash", help="check and run application-specific handlers (eBPF) here")
    from exokernel.host.ash import add_verbs

    add_verbs(ash_parser)

    bench_parser = verbs.add_parser(
        "bench",
        help="measure: one exhibit for each table or figure",
        description="Measure, beside what others report and what this project aims at.",
        epilog="Instruction counts are exact and the same on every computer; wall time is only ever good for ratios.",
    )
    bench_parser.add_argument("exhibits", nargs="*", metavar="EXHIBIT", help="which (default: all)")
    bench_parser.add_argument("--list", action="store_true", help="list the exhibits")
    bench_parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write JSON lines, and FILE.machine.json; - is standard output"
    )
    bench_parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a report, one page that needs no network"
    )
    bench_parser.add_argument(
        "--from", type=Path, metavar="FILE", dest="source", help="measure nothing, take what an earlier --json wrote"
    )
    bench_parser.add_argument("--runs", type=_positive, default=10, metavar="N", help="runs of each row (default: 10)")
    bench_parser.add_argument(
        "--peer", choices=("linux", "none"), help="what to measure beside us (default: linux, when it can be had)"
    )
    bench_parser.add_argument(
        "--linux-kernel", type=Path, metavar="FILE", help="a bzImage (default: Debian's for clouds, fetched once)"
    )
    bench_parser.add_argument("--linux-modules", type=Path, metavar="DIR", help="its modules (default: beside it)")
    bench_parser.add_argument("--wall", action="store_true", help="wall time too where instructions are the figure")
    bench_parser.add_argument(
        "--accel", choices=ACCELERATORS, default="tcg", help="for wall time; auto takes KVM if it is healthy"
    )
    bench_parser.add_argument(
        "--check",
        action="store_true",
        help="fail if a row needs over 2 %% more instructions than bench/baseline.jsonl has, or an aim does not hold",
    )
    bench_parser.add_argument("--record", action="store_true", help="put what was measured into bench/baseline.jsonl")
    bench_parser.set_defaults(verb=bench)

    parsed = parser.parse_args(words)
    parsed.extra = tuple(extra)
    return parsed


def _applications(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "applications",
        nargs="+",
        type=Path,
        metavar="APP",
        help="a Python file with a function main; the first one's end is the end of the machine",
    )


def _machine_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--forward",
        action="append",
        metavar="udp|tcp:HOSTPORT:GUESTPORT",
        help="lead a port of 127.0.0.1 to the guest, instead of those that the application declares in FORWARD",
    )
    parser.add_argument(
        "--link",
        metavar="dgram:LOCALPATH:REMOTEPATH|tap:NAME",
        help="carry raw Ethernet frames over unix datagram sockets, or to a tap device, instead; the guest is 10.0.0.2",
    )
    parser.add_argument(
        "--accel", choices=ACCELERATORS, default="auto", help="auto takes KVM if a short probe finds it healthy"
    )
    parser.add_argument("--machine", choices=MACHINES, default="microvm", help="the PC (default: microvm)")
    parser.add_argument(
        "--slice-ticks",
        type=_slice_ticks,
        default=0,
        metavar="N",
        help="length of a time slice in timer ticks of 1 ns (default: 1000000, at least 10000)",
    )
    parser.add_argument("--icount", action="store_true", help="one clock tick an instruction: exact and repeatable")
    parser.add_argument("--memory", type=_positive, default=64, metavar="MiB", help="the guest's memory (default: 64)")
    parser.add_argument("--pcap", type=Path, metavar="FILE", help="record the network's frames")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show QEMU's command, the kernel's events, timings"
    )


def _timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=RUN_TIMEOUT,
        metavar="S",
        help="end the machine after so many seconds (default: 24 hours; a server is ended with Ctrl-C)",
    )


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise ValueError
    return value


_positive.__name__ = "positive number"  # what argparse calls it in its error


def _slice_ticks(text: str) -> int:
    value = int(text)
    if not 10_000 <= value < 1 << 32:
        raise ValueError
    return value


_slice_ticks.__name__ = "number of timer ticks"


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError
    return value


_seconds.__name__ = "number of seconds"


def run(parsed: argparse.Namespace) -> int:
    """`exo run`."""
    options = machine_options(parsed)
    find_qemu()
    image = build(parsed.applications, slice_ticks=parsed.slice_ticks)
    return run_image(image, with_forwards(options, parsed, image.forward), parsed.timeout, parsed.verbose)


def build_image(parsed: argparse.Namespace) -> int:
    """`exo build`."""
    image = build(parsed.applications)
    try:
        shutil.copyfile(image.path, parsed.output)
    except OSError as error:
        raise Failure(f"cannot write {parsed.output}: {error.strerror}") from None
    if parsed.verbose:
        say(f"built in {image.seconds * 1000:.0f} ms: {parts(image.kernel, *image.applications)}")
    say(f"{paint('built', GREEN)}: {parsed.output}, {len(image.data):,} bytes")
    return 0


def test(parsed: argparse.Namespace) -> int:
    """`exo test`: pytest, in the repository, in our place."""
    os.chdir(REPOSITORY)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *parsed.arguments])


def debug(parsed: argparse.Namespace) -> int:
    """`exo debug`."""
    from exokernel.host.debug import debug as start

    return start(parsed)


def trace(parsed: argparse.Namespace) -> int:
    """`exo trace`."""
    from exokernel.host.trace import trace as start

    return start(parsed)


def profile(parsed: argparse.Namespace) -> int:
    """`exo profile`."""
    from exokernel.host.profile import profile as start

    return start(parsed)


def doctor(parsed: argparse.Namespace) -> int:
    """`exo doctor`."""
    del parsed
    from exokernel.host.doctor import report

    return report()


def bench(parsed: argparse.Namespace) -> int:
    """`exo bench`."""
    from exokernel.host.bench import bench as start

    return start(parsed)


if __name__ == "__main__":
    sys.exit(main())
