# SPDX-License-Identifier: MIT
"""The virtual machine as other tests use it: what is waited for, what an error shows, what is left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.host.commands import ENVIRONMENT, HELLO, Write

from exokernel.host.build import build
from exokernel.host.kvm import LIMIT, Health, probe
from exokernel.host.machine import Event, Forward, Link, Machine, MachineError, Options, find_qemu, qemu_command
from exokernel.host.terminal import Failure

HANGING = """
def main() -> None:
    print("about to hang")
    while True:
        pass
"""


@pytest.fixture(scope="module")
def hello(cache: Path) -> Path:
    return build([HELLO], cache=cache).path


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_run_is_captured(hello: Path) -> None:
    with Machine(hello) as machine:
        assert machine.wait_for(b"Hello from environment 0\n", 30).endswith(b"0\n")
        assert machine.wait_for_event("start", 30, name="hello").number("environment") == 0
        machine.wait()
        assert machine.status == 0
        assert not machine.running
    assert b"64 MiB" in machine.console
    assert [e.name for e in machine.events] == ["boot", "start", "ended", "exit"]
    assert 0 < machine.events[0].at <= machine.events[-1].at < 30


def test_instructions_are_counted_the_same_each_time(hello: Path) -> None:
    counts = []
    for _ in range(2):
        with Machine(hello, Options(icount=True)) as machine:
            machine.wait()
            counts.append([e.number("timestamp") for e in machine.events if e.name == "start"])
    assert counts[0] == counts[1]
    assert counts[0][0]


def test_what_never_comes_fails_with_everything_shown(cache: Path, application: Write) -> None:
    image = build([application(HANGING)], cache=cache)
    with Machine(image.path, timeout=60) as machine:
        machine.wait_for(b"about to hang\n", 30)
        with pytest.raises(MachineError) as caught:
            machine.wait_for(b"never printed", 0.3)
        process = machine.process_id
        assert alive(process)
    for part in ("b'never printed'", "about to hang", "start environment=0x0 name=application", "qemu-system-x86_64"):
        assert part in str(caught.value)
    assert not alive(process)


def test_the_whole_run_has_a_deadline(cache: Path, application: Write) -> None:
    image = build([application(HANGING)], cache=cache)
    with (
        Machine(image.path, timeout=2) as machine,
        pytest.raises(MachineError, match="still running after 2 s") as caught,
    ):
        machine.wait()
    assert "about to hang" in str(caught.value)
    assert not machine.running


def test_a_machine_that_ends_early_is_not_waited_for(hello: Path) -> None:
    started = time.monotonic()
    with Machine(hello) as machine, pytest.raises(MachineError, match="ended before"):
        machine.wait_for(b"never printed", 50)
    assert time.monotonic() - started < 30


def test_qemu_does_not_outlive_its_parent(cache: Path, application: Write) -> None:
    image = build([application(HANGING)], cache=cache)
    code = (
        "import sys, time; from pathlib import Path; from exokernel.host.machine import Machine\n"
        "m = Machine(Path(sys.argv[1])).start(); m.wait_for(b'about to hang', 30)\n"
        "print(m.process_id, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, image.path], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        assert alive(process)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while alive(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(process)


def test_frames_are_recorded(hello: Path, tmp_path: Path) -> None:
    record = tmp_path / "frames.pcap"
    with Machine(hello, Options(pcap=record)) as machine:
        machine.wait()
    assert record.read_bytes()[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4")


def test_a_busy_port_is_named() -> None:
    for protocol, kind in (("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM)):
        with socket.socket(socket.AF_INET, kind) as other:
            other.bind(("127.0.0.1", 0))
            if protocol == "tcp":
                other.listen()
            port = other.getsockname()[1]
            with pytest.raises(Failure, match=f"port {port}/{protocol} of 127.0.0.1 cannot be used: Address already"):
                Forward(protocol, port, 7).check_free()
        Forward(protocol, port, 7).check_free()


@pytest.mark.parametrize(
    "text", ["udp:7777", "sctp:1:2", "udp:0:7", "udp:7:65536", "udp:-1:7", "udp:a:b", "udp:²:7", 7]
)
def test_what_is_no_forward(text: str) -> None:
    with pytest.raises(Failure, match="is not a port forward"):
        Forward.parse(text)


def test_forwards_and_links_are_read() -> None:
    assert Forward.parse("udp:7777:7") == Forward("udp", 7777, 7)
    assert str(Forward.parse("tcp:80:8080")) == "tcp:80:8080"
    assert Link.parse("dgram:/tmp/a:/tmp/b") == Link("/tmp/a", "/tmp/b")
    assert Link.parse("tap:exo0") == Link(tap="exo0")
    for text in ("dgram:/tmp/a", "stream:/a:/b", "dgram::b", "tap:", "tap", ""):
        with pytest.raises(Failure, match="is not a link"):
            Link.parse(text)


def test_events_are_read() -> None:
    event = Event.parse("ended environment=0x1 name=two words reason=exit status=0x3", 0.5)
    assert event.name == "ended"
    assert event.values["name"] == "two words"
    assert event.number("status") == 3
    assert event.number("absent") is event.number("reason") is None
    assert Event.parse("panic reason=no frames left").values == {"reason": "no frames left"}
    assert Event.parse("").name == ""


def test_the_machine_can_be_chosen_by_qemus_own_argument() -> None:
    kernel = Path("k.elf")
    assert "microvm,acpi=off" in qemu_command(kernel, Options(), 3)
    for options in (Options(machine="q35"), Options(extra=("-M", "q35", "-d", "int"))):
        command = qemu_command(kernel, options, 3)
        assert command.count("-M") == 1
        assert command[command.index("-M") + 1] == "q35"
        assert any(word.startswith("virtio-net-pci,") for word in command)
    assert qemu_command(kernel, options, 3)[-2:] == ["-d", "int"]


def test_commas_in_paths_survive() -> None:
    command = qemu_command(Path("k"), Options(link=Link("/tmp/a,b", "/tmp/c"), pcap=Path("/tmp/x,y")), 3)
    assert any("local.path=/tmp/a,,b," in word for word in command)
    assert any(word.endswith("file=/tmp/x,,y") for word in command)


def test_the_probe_tells_healthy_from_unhealthy() -> None:
    qemu = find_qemu()
    assert probe(qemu, "tcg", 30) == Health(True)
    assert "took more than" in probe(qemu, "tcg", 0.001).reason
    assert not probe(qemu, "nonsense").healthy
    assert isinstance(probe(qemu, "kvm", LIMIT), Health)
