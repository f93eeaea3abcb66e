# SPDX-License-Identifier: MIT
"""The virtual machine: QEMU's command line, its process, and the two channels that leave the guest.

The serial port is the console: it goes to our standard output, or is kept for a test to look at. The control channel
(port 0xe9) carries the kernel's events, one line each. No QEMU may outlive the process that started it, and none may
run without a deadline.
"""

import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from exokernel.host.terminal import Failure
from exokernel.metal.linker import segments

QEMU = "qemu-system-x86_64"
# The processor of all measurements, ours and the peer's, in which neither pays for what QEMU does with it: protection keys
# (each signal of Linux writes them, and QEMU then forgets all translations), five levels of page tables, and the fast
# strings that make Linux clear memory byte by byte, each of which is counted.
MEASURED_CPU = "max,pku=off,la57=off,erms=off,fsrm=off"
MEASURED_MEMORY = 128  # MiB: in less the peer does not start
# The library takes its IPv4 address from the last four bytes of the station address (exos/net/network.py).
USER_NETWORK_STATION = "52:54:0a:00:02:0f"  # 10.0.2.15, the guest's place in QEMU's user network
LINK_STATION = "52:54:00:12:34:56"  # stands for 10.0.0.2
CAPTURE_LIMIT = 64 << 20  # bytes of console kept for a test; a guest that prints more is stopped
REPORT_GRACE = 30.0  # seconds for what the last events are worth, such as finding a crash in the source
STOP_GRACE = 2.0  # seconds between asking QEMU to end and making it


@dataclass(frozen=True)
class Forward:
    """A port of 127.0.0.1 that leads to a port of the guest: `udp:7777:7`."""

    protocol: str
    host_port: int
    guest_port: int

    @classmethod
    def parse(cls, text: object) -> Self:
        """Raises `Failure`."""
        parts = text.split(":") if isinstance(text, str) else []
        if len(parts) == 3 and parts[0] in ("udp", "tcp") and all(p.isascii() and p.isdigit() for p in parts[1:]):
            host, guest = int(parts[1]), int(parts[2])
            if 0 < host < 65536 and 0 < guest < 65536:
                return cls(parts[0], host, guest)
        raise Failure(f"{text!r} is not a port forward", "write udp:HOSTPORT:GUESTPORT or tcp:HOSTPORT:GUESTPORT")

    def __str__(self) -> str:
        return f"{self.protocol}:{self.host_port}:{self.guest_port}"

    def check_free(self) -> None:
        """Raises `Failure` when the host's port cannot be bound."""
        kind = socket.SOCK_STREAM if self.protocol == "tcp" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as probe:
            if self.protocol == "tcp":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.host_port))
            except OSError as error:
                raise Failure(
                    f"port {self.host_port}/{self.protocol} of 127.0.0.1 cannot be used: {error.strerror}",
                    f"choose another with --forward {self.protocol}:HOSTPORT:{self.guest_port}",
                ) from None


@dataclass(frozen=True)
class Link:
    """A wire that carries raw Ethernet frames: over a pair of unix datagram sockets, `dgram:LOCALPATH:REMOTEPATH`, or to
    a tap device of this computer's Linux, `tap:NAME`.
    """

    local: str = ""
    remote: str = ""
    tap: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `Failure`."""
        parts = text.split(":")
        if len(parts) == 3 and parts[0] == "dgram" and parts[1] and parts[2]:
            return cls(parts[1], parts[2])
        if len(parts) == 2 and parts[0] == "tap" and parts[1]:
            return cls(tap=parts[1])
        raise Failure(
            f"{text!r} is not a link", "write dgram:LOCALPATH:REMOTEPATH, two paths of unix sockets, or tap:NAME"
        )


@dataclass(frozen=True)
class Options:
    """What machine to run. `memory` in MiB, and `memory_file` a file of that size which is to be the guest's memory;
    `machine` is microvm, pc or q35, `cpu` QEMU's model of the processor; `gdb` the path of a socket for gdb. Without
    `network` there is no such device, and nothing that goes by the host's time.
    """

    machine: str = "microvm"
    cpu: str = "max"
    accelerator: str = "tcg"
    memory: int = 64
    memory_file: Path | None = None
    icount: bool = False
    forward: tuple[Forward, ...] = ()
    network: bool = True
    link: Link | None = None
    pcap: Path | None = None
    gdb: Path | None = None
    extra: tuple[str, ...] = ()


def measured(**changes: Any) -> Options:
    """The machine of a measurement, but for `changes`."""
    return Options(**dict[str, Any](cpu=MEASURED_CPU, memory=MEASURED_MEMORY) | changes)


def find_qemu() -> str:
    """QEMU's path. Raises `Failure`."""
    found = shutil.which(QEMU)
    if not found:
        raise Failure(f"{QEMU} is not installed", "on Debian or Ubuntu: apt-get install qemu-system-x86")
    return found


def check_memory(kernel: Path, memory: int) -> None:
    """Raises `Failure` when the image does not fit: QEMU would load what it can, and the guest hang without a word."""
    image = kernel.read_bytes()
    if not image.startswith(b"\x7fELF"):
        return  # a peer's, which unpacks itself
    needed = max((s.physical + s.memory_size for s in segments(image)), default=0)
    if needed > memory << 20:
        raise Failure(f"the image does not fit into {memory} MiB", f"use --memory {-(-needed // (1 << 20))} or more")


def qemu_command(kernel: Path, options: Options, control: int) -> list[str]:
    """QEMU's command line; `control` is the file descriptor, open in QEMU, that takes the control channel."""
    machine, extra = _machine_of(options)
    machine = "microvm,acpi=off" if machine == "microvm" else machine
    if options.memory_file:
        machine += ",memory-backend=memory"
        extra = (*_memory(options), *extra)
    command = [QEMU, "-M", machine]
    command += ["-cpu", options.cpu, "-accel", options.accelerator, "-m", str(options.memory)]
    command += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    # The console's Ctrl-C is ours to handle, not QEMU's.
    command += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    command += ["-chardev", f"file,id=control,path=/dev/fd/{control}"]
    command += ["-device", "isa-debugcon,iobase=0xe9,chardev=control"]
    if options.icount:
        command += ["-icount", "shift=0,sleep=off"]
    if machine.startswith("microvm"):
        command += ["-global", "virtio-mmio.force-legacy=false", *_network(options, "virtio-net-device")]
    else:  # pc and q35 have their devices on PCI; without its boot code the firmware is done sooner
        command += _network(options, "virtio-net-pci,romfile=")
    if options.gdb:
        command += ["-S", "-chardev", f"socket,id=gdb,path={_value(options.gdb)},server=on,wait=off"]
        command += ["-gdb", "chardev:gdb"]
    return [*command, "-kernel", str(kernel), *extra]


def _machine_of(options: Options) -> tuple[str, tuple[str, ...]]:
    """The machine's name, which QEMU's own -M among the extra arguments may change, and the other extra arguments."""
    machine, extra = options.machine, list(options.extra)
    for flag in ("-M", "-machine", "--machine"):
        while flag in extra and extra.index(flag) + 1 < len(extra):
            at = extra.index(flag)
            machine = extra[at + 1]
            del extra[at : at + 2]
    return machine, tuple(extra)


def _memory(options: Options) -> list[str]:
    assert options.memory_file is not None
    backend = f"memory-backend-file,id=memory,size={options.memory}M,mem-path={_value(options.memory_file)},share=on"
    return ["-object", backend]


def _network(options: Options, card: str) -> list[str]:
    if not options.network:
        return []
    if options.link:
        if options.link.tap:
            wire = f"tap,id=net,ifname={_value(options.link.tap)},script=no,downscript=no"
        else:
            wire = f"dgram,id=net,local.type=unix,local.path={_value(options.link.local)}"
            wire += f",remote.type=unix,remote.path={_value(options.link.remote)}"
        station = LINK_STATION
    else:
        rules = [f",hostfwd={f.protocol}:127.0.0.1:{f.host_port}-:{f.guest_port}" for f in options.forward]
        wire, station = "user,id=net" + "".join(rules), USER_NETWORK_STATION
    command = ["-netdev", wire, "-device", f"{card},netdev=net,mac={station}"]
    if options.pcap:
        command += ["-object", f"filter-dump,id=pcap,netdev=net,file={_value(options.pcap)}"]
    return command


def _value(path: Path | str) -> str:
    """A path inside one of QEMU's comma-separated options."""
    return str(path).replace(",", ",,")


def shell_command(command: Sequence[str], control: int) -> str:
    """The command as a person can paste it into a shell; the control channel then appears on stderr."""
    return f"{shlex.join(command)} {control}>&2"


@dataclass(frozen=True)
class Event:
    """A line of the control channel: `name key=value ...`. `at` is when it was read, in seconds since QEMU's start."""

    name: str
    values: dict[str, str]
    at: float = 0.0

    @classmethod
    def parse(cls, line: str, at: float = 0.0) -> Self:
        """A word without `=` continues the value before it."""
        name, *words = line.split() or [""]
        values: dict[str, str] = {}
        for word in words:
            if "=" in word:
                key, value = word.split("=", 1)
                values[key] = value
            elif values:
                values[next(reversed(values))] += f" {word}"
        return cls(name, values, at)

    def number(self, key: str) -> int | None:
        """A value as a number, if it is there and is one."""
        try:
            return int(self.values[key], 0)
        except (KeyError, ValueError):
            return None


class MachineError(Exception):
    """The machine did not do what was waited for; the message shows what it printed."""


@dataclass
class Machine:
    """A running guest: `with Machine(kernel, options) as machine: machine.wait_for(b"ready")`.

    With `capture` the console is kept in `console`; otherwise the guest has our standard input and output.
    `on_event` is called for each event, from another thread. `timeout` (seconds) bounds the whole run.
    """

    kernel: Path
    options: Options = field(default_factory=Options)
    capture: bool = True
    timeout: float = 60.0
    on_event: Callable[[Event], None] | None = None

    def __post_init__(self) -> None:
        self.console = b""
        self.control: list[str] = []
        self.events: list[Event] = []
        self.complaints: list[str] = []  # QEMU's own messages
        self.command: list[str] = []
        self.command_text = ""
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    # Life

    def start(self) -> Self:
        """Start QEMU. Raises `Failure` for what can be known to fail."""
        qemu = find_qemu()
        check_memory(self.kernel, self.options.memory)
        for forward in self.options.forward:
            if not self.options.link:
                forward.check_free()
        control, control_in = os.pipe()
        try:
            self.command = qemu_command(self.kernel, self.options, control_in)
            self.command_text = shell_command(self.command, control_in)
            terminal = not self.capture and sys.stdin is not None and sys.stdin.isatty()
            # The kernel ends QEMU when we die without a chance to (setpriv is part of util-linux); a group of its own
            # keeps the terminal's Ctrl-C from it, so that we see how the machine ends.
            setpriv = shutil.which("setpriv")
            guard = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
            self._started = time.monotonic()
            self._process = subprocess.Popen(
                [*guard, qemu, *self.command[1:]],
                stdin=subprocess.PIPE if self.capture or terminal else None,
                stdout=subprocess.PIPE if self.capture else None,
                stderr=subprocess.PIPE,
                pass_fds=(control_in,),
                process_group=0,
            )
        except BaseException:
            os.close(control)
            raise
        finally:
            os.close(control_in)
        assert self._process.stderr is not None
        self._read(os.fdopen(control, "rb", buffering=0), _Lines(self._take_control))
        self._read(self._process.stderr, _Lines(self.complaints.append))
        if self._process.stdout is not None:
            self._read(self._process.stdout, self._take_console)
        if terminal:
            threading.Thread(target=self._type, daemon=True).start()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait(self) -> int:
        """Wait until the machine ends by itself; QEMU's exit status. Raises `MachineError` at the deadline."""
        assert self._process is not None
        try:
            self._process.wait(max(0.0, self._started + self.timeout - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.stop()
            raise MachineError(f"still running after {self.timeout:g} s, stopped\n{self.transcript()}") from None
        self._join(REPORT_GRACE)
        return self._process.returncode

    def stop(self) -> None:
        """End QEMU, whatever it does. Harmless when it has ended."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._join()
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()

    @property
    def running(self) -> bool:
        """Whether QEMU still runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def process_id(self) -> int:
        """QEMU's process."""
        assert self._process is not None
        return self._process.pid

    # What the guest said

    def wait_for(self, text: bytes, timeout: float = 10.0) -> bytes:
        """Wait until the console shows `text`; the console up to its end. Raises `MachineError`."""
        self._await(lambda: text in self.console, f"{text!r} on the console", timeout)
        return self.console[: self.console.index(text) + len(text)]

    def wait_for_event(self, name: str, /, timeout: float = 10.0, **values: str) -> Event:
        """Wait for an event of that name and those values. Raises `MachineError`."""

        def found() -> Iterator[Event]:
            return (e for e in self.events if e.name == name and values.items() <= e.values.items())

        self._await(lambda: any(found()), f"the event {name} {values or ''}", timeout)
        return next(found())

    def send(self, data: bytes) -> None:
        """Type into the console."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    @property
    def status(self) -> int | None:
        """What the guest said its exit status is, once it has."""
        found = [e.number("status") for e in self.events if e.name == "exit"]
        return found[-1] if found else None

    def transcript(self) -> str:
        """Everything known of the run, for an error message."""
        parts = [f"$ {self.command_text}"]
        for title, text in (
            ("console", self.console.decode(errors="backslashreplace")),
            ("control channel", "\n".join(self.control)),
            ("QEMU", "\n".join(self.complaints)),
        ):
            parts.append(f"--- {title}\n{text[-20_000:] or '(nothing)'}")
        return "\n".join(parts)

    def _await(self, reached: Callable[[], bool], what: str, timeout: float) -> None:
        deadline = min(time.monotonic() + timeout, self._started + self.timeout)
        with self._changed:
            while not reached():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise MachineError(f"waited {timeout:g} s for {what}\n{self.transcript()}")
                if not any(t.is_alive() for t in self._threads):
                    raise MachineError(f"the machine ended before {what}\n{self.transcript()}")
                self._changed.wait(min(left, 0.1))

    # The channels, each read by a thread

    def _read(self, stream: IO[bytes], take: Callable[[bytes], None]) -> None:
        def loop() -> None:
            with stream:
                while data := os.read(stream.fileno(), 65536):
                    take(data)
            take(b"")

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _join(self, limit: float = STOP_GRACE) -> None:
        for thread in self._threads:
            thread.join(limit)

    def _take_console(self, data: bytes) -> None:
        with self._changed:
            self.console += data
            self._changed.notify_all()
        if len(self.console) > CAPTURE_LIMIT and self._process is not None:
            self._process.kill()

    def _take_control(self, line: str) -> None:
        event = Event.parse(line, time.monotonic() - self._started)
        with self._changed:
            self.control.append(line)
            self.events.append(event)
            self._changed.notify_all()
        if self.on_event:
            self.on_event(event)

    def _type(self) -> None:
        """Pass what is typed at the terminal to the console, as long as we are in its foreground."""
        assert self._process is not None and self._process.stdin is not None
        while self.running:
            ready, _, _ = select.select([0], [], [], 0.5)
            # Reading the terminal from the background would stop this process.
            if not ready or os.tcgetpgrp(0) != os.getpgrp():
                time.sleep(0 if not ready else 0.2)
                continue
            data = os.read(0, 4096)
            try:
                if not data:
                    return
                self._process.stdin.write(data)
                self._process.stdin.flush()
            except (BrokenPipeError, ValueError):
                return


class _Lines:
    """Cuts a byte stream into lines."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take, self._rest = take, b""

    def __call__(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            lines, self._rest = [self._rest], b""
        for line in lines:
            self._take(line.decode(errors="backslashreplace").rstrip("\r"))


class Stopped(BaseException):
    """A signal asked this process to end; `status` is what a shell expects then."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Turns SIGINT, SIGTERM and SIGHUP into `Stopped`, so that what we started is ended on the way out."""

    def handler(number: int, frame: object) -> None:
        del frame
        raise Stopped(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, action in previous.items():
            signal.signal(number, action)
