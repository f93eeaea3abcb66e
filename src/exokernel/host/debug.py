# SPDX-License-Identifier: MIT
"""`exo debug`: gdb on the running machine, at Python source level, in the kernel and in the applications.

QEMU waits with its processor stopped; gdb comes over a unix socket of our own and leaves with the machine.
"""

import argparse
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from exokernel.host.build import Compiled, Image, build
from exokernel.host.machine import Machine
from exokernel.host.run import machine_options, with_forwards
from exokernel.host.terminal import Failure, paint, say

FRAMES = Path(__file__).with_name("gdb_frames.py")
CONNECT_TIMEOUT = 10.0  # seconds until QEMU has made its socket


def gdb_commands(image: Image, gdb_socket: Path, python: bool) -> list[str]:
    """What gdb is told before anybody types."""
    commands = [
        "set confirm off",
        "set pagination off",
        # The code is Python's only in its source; printing and casts follow C.
        "set architecture i386:x86-64",
        "set language c",
        f'file "{image.kernel.path}"',
    ]
    commands += [f'add-symbol-file "{application.path}"' for application in image.applications]
    folders = {str(Path(a.source).parent) for a in image.applications}
    commands += [f'directory "{folder}"' for folder in sorted(folders)]
    # A gdb without Python shows the same, but no callers beyond a system call.
    commands.append(f"source {FRAMES}" if python else "# no Python in this gdb")
    return [*commands, f"target remote {gdb_socket}"]


def debug(parsed: argparse.Namespace) -> int:
    """Run the applications under gdb; the guest's exit status if it ended, or else gdb's."""
    gdb = shutil.which("gdb")
    if not gdb:
        raise Failure("gdb is not installed", "on Debian or Ubuntu: apt-get install gdb")
    if parsed.batch and not parsed.batch.is_file():
        raise Failure(f"{parsed.batch} is not a file of gdb commands")
    options = machine_options(parsed)
    image = build(parsed.applications, slice_ticks=parsed.slice_ticks)
    with tempfile.TemporaryDirectory(prefix="exo-") as folder:
        socket_path = Path(folder, "gdb.sock")
        # A debugger needs a processor that stops where it is told to: the emulated one.
        options = with_forwards(replace(options, accelerator="tcg", gdb=socket_path), parsed, image.forward)
        script = Path(folder, "start.gdb")
        script.write_text("\n".join(gdb_commands(image, socket_path, _has_python(gdb))) + "\n")
        # The terminal is gdb's; the console is shown as it comes, as is the control channel.
        with Machine(image.path, options, capture=True, timeout=parsed.timeout) as machine:
            if parsed.verbose:
                say(machine.command_text)
            _await_socket(machine, socket_path)
            command = [gdb, "-nx", "-q", "-x", str(script)]
            if parsed.batch:
                command = [gdb, "-nx", "-q", "-batch", "-x", str(script), "-x", str(parsed.batch)]
            else:
                _advise(image.applications[0])
            # Ctrl-C at the terminal is gdb's way to interrupt the guest, so it must not end this process.
            signal.signal(signal.SIGINT, lambda number, frame: None)
            try:
                status = subprocess.run(command, timeout=parsed.timeout, check=False).returncode
            except subprocess.TimeoutExpired:
                raise Failure(f"gdb still running after {parsed.timeout:g} s, stopped", status=124) from None
            finally:
                machine.stop()
                _show_console(machine)
            # When the machine ends under gdb, gdb calls the lost connection an error; how the guest ended says more.
            return status if machine.status is None else machine.status & 0xFF


def _has_python(gdb: str) -> bool:
    command = [gdb, "-nx", "-batch", "-ex", "python print('yes')"]
    return "yes" in subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout


def _await_socket(machine: Machine, path: Path) -> None:
    deadline = time.monotonic() + CONNECT_TIMEOUT
    while not path.exists():
        if not machine.running or time.monotonic() > deadline:
            raise Failure("QEMU did not start: " + ("; ".join(machine.complaints) or "no message"))
        time.sleep(0.01)


def _advise(application: Compiled) -> None:
    name = Path(application.source).name
    say(f"Nothing is loaded yet, so break with {paint('hbreak', 1)}; then continue. For example:")
    say(f"    hbreak {name}:LINE        hbreak main        continue        backtrace        info locals")


def _show_console(machine: Machine) -> None:
    """What the guest printed while gdb had the terminal."""
    if machine.console:
        say(paint("--- console", 2))
        say(machine.console.decode(errors="backslashreplace").rstrip("\n"))
