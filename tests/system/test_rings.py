# SPDX-License-Identifier: MIT
"""Rings, lent frames and captures in a booted machine, on a wire of which the other end is ours."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tests import packets
from tests.system.guests import EXAMPLES, link, running

APPLICATIONS = Path(__file__).parent / "applications"

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


def lent_frame(number: int, length: int) -> bytes:
    """As applications/lending.py makes them."""
    return (b"\xff" * 12 + b"\x88\xb5" + bytes((number + i) & 0xFF for i in range(14, 1514)))[:length]


def test_frames_are_sent_from_where_they_lie() -> None:
    """Whole and in order; what must be refused is; and their memory is nobody else's while the device reads it."""
    with link() as cable, running([APPLICATIONS / "lending.py"] * 2, link=cable.option) as guest:
        cable.guest = guest
        for number, length in enumerate((14, 60, 61, 1000, 1513, 1514)):
            assert cable.receive() == lent_frame(number, length)
        for number in (*range(3), *range(4, 16)):
            assert cable.receive() == lent_frame(number, 100)
        guest.wait_for(b"drain", timeout=60)
        came = cable.receive_all(quiet=1)
        assert len(came) >= 64 and set(came) <= {lent_frame(number, 1514) for number in range(80)}
        guest.wait()
    said = guest.console.decode().splitlines()
    assert guest.status == 0, guest.transcript()
    assert [line for line in said if line.endswith(" True")] == [
        *(
            f"{word} True"
            for word in ["unaligned", "too many", "endless", "kernel", "edge", "unmapped", "read-only", "code"]
        ),
        *(f"{word} True" for word in ("short", "long", "longest")),
        *("read True", "lent True True", "kept True True True", "free True True"),
    ], guest.transcript()
    assert [line for line in said if not line.endswith(" True")] == ["nothing 0", "batch 3 12", "drain"]


def test_rings_count_their_losses_and_nobody_takes_them_all() -> None:
    """A ring that is full loses its own frames only. While filters change, frames are found by searching, and afterwards by
    code again. What is reserved for others stays theirs, and all of it comes back.
    """

    def send(port: int, count: int = 1) -> None:
        for _ in range(count):
            cable.send(packets.udp_frame(b"x", port=port))

    with link() as cable, running([APPLICATIONS / "rings.py"] * 2, link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"bound")
        send(7, 300)
        send(8, 3)
        guest.wait_for(b"change\n", timeout=30)
        while b"searched" not in guest.console:
            send(8)
            time.sleep(0.001)
        while b"compiled" not in guest.console:
            send(8)
            time.sleep(0.005)
        guest.wait_for(b"ready", timeout=30)
        send(9)
        guest.wait_for(b"end\n")
        send(8)
        guest.wait()
    text = re.sub("(again\n)+", "again\n", guest.console.decode())
    longest = int(re.search(r"longest (\d+)\n", text)[1])  # type: ignore[index]
    assert guest.status == 0 and longest > 0, guest.transcript()
    assert text.replace(f"longest {longest}\n", "").splitlines() == [
        "bound",
        "first 128 172 second 3 0",
        "rings 33 True",
        "filters 386 True",
        "change",
        "searched True",
        "again",
        "compiled",
        "ready",
        "got 1 9",
        "mine True True",
        "another ring True",
        "end",
        "all mine True True True",
    ], guest.transcript()


def test_who_may_look_sees_all_and_takes_nothing() -> None:
    with link() as cable, running([APPLICATIONS / "capturing.py"] * 2, link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"ready")
        for port in (7, 99, 98, 97):  # one for 0, with two answers, and three for nobody
            cable.send(packets.udp_frame(b"x", port=port))
        guest.wait_for(b"again")
        for port in (7, 99, 98, 7):
            cable.send(packets.udp_frame(b"x", port=port))
        for _ in range(3):
            assert cable.receive() + b"." == cable.receive()
        guest.wait_for(b"answered")
        cable.send(packets.udp_frame(b"x", port=7))
        guest.wait()
    assert guest.status == 0, guest.transcript()
    said = guest.console.decode().splitlines()
    assert [line for line in said if not line.endswith(" True")] == [
        *("bind 0", "bind 0", "ready", "all 6", "stop 0", "again", "received 4", "answered", "mine 4", "captured 10 7"),
    ], guest.transcript()
    assert len([line for line in said if line.endswith(" True")]) == 9


def test_four_look_on_at_once_and_the_fifth_when_one_has_ended() -> None:
    """Each gets its copies; one who ends gives its place up."""
    with link() as cable, running([APPLICATIONS / "watchers.py"] * 6, link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"looks on 0\n", 60)
        deadline = time.monotonic() + 60
        while (guest.console.count(b"looks on 0"), guest.console.count(b"busy")) != (4, 1):
            assert time.monotonic() < deadline and guest.running, guest.transcript()
            time.sleep(0.01)
        for _ in range(2):
            cable.send(bytes(60))
        guest.wait_for(b"saw 2\n", 60)
        while guest.console.count(b"looks on 0") != 5:
            assert time.monotonic() < deadline and guest.running, guest.transcript()
            time.sleep(0.01)
        for _ in range(2):
            cable.send(bytes(60))
        guest.wait()
        assert guest.console.count(b"saw 2") == 5 and guest.status == 0, guest.transcript()


def captured(console: bytes) -> bytes:
    """The file that examples/capture.py has written so far."""
    return b"".join(bytes.fromhex(line.decode()) for line in re.findall(rb"^pcap ([0-9a-f]+)\n", console, re.MULTILINE))


def dump(file: Path) -> list[str]:
    """What tcpdump says of a file, a line for each frame."""
    if (tcpdump := shutil.which("tcpdump")) is None:
        pytest.skip("needs tcpdump")
    result = subprocess.run([tcpdump, "-n", "-r", str(file)], capture_output=True, check=True, text=True, timeout=20)
    return result.stdout.splitlines()


def frames_of(file: Path) -> list[bytes]:
    from scapy.utils import rdpcap

    return [bytes(frame) for frame in rdpcap(str(file))]


def test_tcpdump_reads_what_was_captured(tmp_path: Path) -> None:
    with link() as cable, running([EXAMPLES / "capture.py", EXAMPLES / "echo.py"], link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"Echo on UDP")
        guest.wait_for(b"pcap ")
        passed = []
        for length in (0, 1, 100, 255, 256, 1000, 1472):
            passed.append(packets.udp_frame(bytes(length)))
            cable.send(passed[-1])
            passed.append(cable.receive())
        size = 24 + sum(16 + len(frame) for frame in passed)
        deadline = time.monotonic() + 20
        while len(captured(guest.console)) < size and time.monotonic() < deadline:
            time.sleep(0.02)
        file = tmp_path / "captured.pcap"
        file.write_bytes(captured(guest.console))
    assert frames_of(file) == passed
    lines = dump(file)
    assert len(lines) == len(passed)
    assert all(f"UDP, length {n}" in line for n, line in zip((0, 0, 1, 1, 100, 100), lines, strict=False))


def test_tcpdump_reads_what_qemu_wrote(tmp_path: Path) -> None:
    """`./exo run --pcap`: every frame, from outside of the machine."""
    from exokernel.host.build import build
    from exokernel.host.machine import Machine, Options

    file = tmp_path / "wire.pcap"
    with link() as cable:
        options = Options(link=cable.option, pcap=file)
        with Machine(build([EXAMPLES / "echo.py"]).path, options) as guest:
            cable.guest = guest
            guest.wait_for(b"Echo on UDP")
            passed = []
            for length in (0, 100, 1472):
                passed.append(packets.udp_frame(bytes(length)))
                cable.send(passed[-1])
                passed.append(cable.receive())
    assert frames_of(file) == passed
    assert [line.partition(": ")[2] for line in dump(file)] == [
        f"UDP, length {n}" for n in (0, 0, 100, 100, 1472, 1472)
    ]
