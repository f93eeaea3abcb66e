# SPDX-License-Identifier: MIT
"""The echo server in a booted machine, against real clients: raw frames over `--link`, sockets and netcat through
QEMU's user network, Linux's own stack (ping) through a tap device in a network namespace made here. Nothing sent may
stop it, and it may answer nothing but what `packets.expected_answer` derives from the RFCs.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import packets
from tests.packets import GUEST, PEER, Host
from tests.system.guests import EXAMPLES, Link, beside_linux, free_port, link, running

LIBRARY = Path(__file__).parent / "library"
READY = b"Echo on UDP"
DATAGRAMS = 10_000
WINDOW = 32  # datagrams under way: fewer than the machine's ring, QEMU's queues and the socket buffers hold

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


@pytest.fixture(scope="module")
def wire() -> Iterator[Link]:
    """The echo server on a raw link."""
    with link() as cable, running([EXAMPLES / "echo.py"], link=cable.option) as guest:
        guest.wait_for(READY)
        cable.guest = guest
        yield cable


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The echo server behind QEMU's user network; the port of this computer that leads to it."""
    number = free_port()
    with running([EXAMPLES / "echo.py"], forward=[f"udp:{number}:7"]) as guest:
        guest.wait_for(READY)
        yield number


def transcript(wire: Link) -> str:
    return wire.guest.transcript() if wire.guest else ""


def assert_alive(wire: Link, word: bytes) -> None:
    """The next frame from the guest is the answer to this datagram: nothing sent before it was answered."""
    frame = packets.udp_frame(word)
    wire.send(frame)
    assert wire.receive() == packets.expected_answer(frame), transcript(wire)


# Raw frames


def test_udp_ping_and_arp_on_the_wire(wire: Link) -> None:
    closed = packets.udp_frame(b"", port=9)
    for frame in (packets.arp_request(), packets.ping_frame(b"ping"), packets.udp_frame(b"hello"), closed):
        wire.send(frame)
        assert wire.receive() == packets.expected_answer(frame)


def test_ten_thousand_raw_frames(wire: Link) -> None:
    """None is lost, none changed, and they come back in order."""
    contents = [struct.pack(">Q", i) + random.Random(i).randbytes(i % 200) for i in range(DATAGRAMS)]
    frames = [packets.udp_frame(data, source_port=20000 + i % 1000) for i, data in enumerate(contents)]
    sent = 0
    for i, frame in enumerate(frames):
        while sent < min(len(frames), i + WINDOW):
            wire.send(frames[sent])
            sent += 1
        assert wire.receive() == packets.expected_answer(frame), f"frame {i}\n{transcript(wire)}"


def test_the_largest_frames(wire: Link) -> None:
    for length in (1471, 1472):
        for frame in (packets.udp_frame(bytes(length)), packets.ping_frame(b"\xa5" * length)):
            wire.send(frame)
            assert wire.receive() == packets.expected_answer(frame)


def test_broken_frames(wire: Link) -> None:
    for name, frame in packets.broken_frames():
        wire.send(frame)
        assert_alive(wire, name.encode())


def test_truncated_frames(wire: Link) -> None:
    for name, frame in packets.truncated_frames():
        wire.send(frame)
        assert_alive(wire, name.encode())


def test_oversized_frames(wire: Link) -> None:
    for length in (1515, 1516, 1600, 2040, 2048, 4096, 9000, 60000):
        wire.send(packets.udp_frame(b"x" * 1472).ljust(length, b"\0"))
        assert_alive(wire, b"after %d bytes" % length)


@pytest.mark.parametrize("seed", range(3))
def test_random_frames(wire: Link, seed: int) -> None:
    """Random bytes and damaged frames, with a good one behind each handful: every answer is the expected one."""
    expected: list[bytes] = []
    for i, frame in enumerate(packets.random_frames(1000 + seed, 2000)):
        answer = packets.expected_answer(frame)
        expected += [answer] if answer else []
        wire.send(frame)
        if i % 16 == 15:
            probe = packets.udp_frame(b"%d" % i)
            wire.send(probe)
            for answer in [*expected, packets.expected_answer(probe)]:
                assert wire.receive() == answer, f"up to frame {i}"
            expected = []


def test_a_flood_ends_and_the_server_is_there(wire: Link) -> None:
    """More than any ring holds, without waiting for answers; what is lost is lost, what comes is right."""
    frames = [packets.udp_frame(struct.pack(">I", i)) for i in range(3000)]
    answers = {packets.expected_answer(f) for f in frames}
    for frame in frames:
        wire.send_or_drop(frame)
    came = wire.receive_all(quiet=0.5)
    assert came and set(came) <= answers
    probe = packets.udp_frame(b"after the flood")
    wire.send(probe)
    while (answer := wire.receive()) != packets.expected_answer(probe):
        assert answer in answers


def test_the_server_answers_many_peers(wire: Link) -> None:
    for number in range(3, 200):
        peer = Host(bytes([2, 0, 0, 0, 1, number]), bytes([10, 0, 0, number]))
        request = packets.arp_request(peer)
        for frame in (request, packets.udp_frame(b"x", sender=peer), packets.ping_frame(b"x", sender=peer)):
            wire.send(frame)
            assert wire.receive() == packets.expected_answer(frame)


def test_it_asks_and_asks_again() -> None:
    """An application that speaks first: ARP requests a second apart, then the datagram is given up; the next one is
    answered, and so is the datagram that waited for it.
    """
    with link() as cable, running([LIBRARY / "caller.py"], link=cable.option) as guest:
        cable.guest = guest
        request = packets.ethernet(
            packets.BROADCAST, GUEST.station, 0x0806, packets.arp(1, GUEST, bytes(6), PEER.address)
        )
        times = []
        for _ in range(3):
            assert cable.receive() == request
            times.append(time.monotonic())
        assert times[2] - times[0] > 1.5
        assert cable.receive() == request
        guest.wait_for(b"nobody\n")
        cable.send(
            packets.ethernet(GUEST.station, PEER.station, 0x0806, packets.arp(2, PEER, GUEST.station, GUEST.address))
        )
        greeting = packets.udp(GUEST.address, PEER.address, 5000, 6000, b"anybody there?")
        packet = packets.ipv4(GUEST.address, PEER.address, 17, greeting, fragment=0x4000)
        assert cable.receive() == packets.ethernet(PEER.station, GUEST.station, 0x0800, packet)
        cable.send(packets.udp_frame(b"I am", port=5000, source_port=6000))
        guest.wait()
        assert guest.console == b"nobody\nanswer: I am\n", guest.transcript()


def test_every_frame_is_accounted_for() -> None:
    """Kernel and library together lose nothing silently, not even in a flood."""

    def ask() -> list[int]:
        cable.send(packets.udp_frame(b"", port=8, source_port=9999))
        while True:
            answer = cable.receive()
            if answer[36:38] == (9999).to_bytes(2, "big"):
                length = int.from_bytes(answer[38:40], "big")
                return [int(word) for word in answer[42 : 34 + length].split()]

    with link() as cable, running([LIBRARY / "counting.py"], link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"ready")
        frames = [f for _, f in packets.broken_frames() if f[12:14] != b"\x08\x06"]
        for frame in frames:
            cable.send(frame)
        received, delivered, ring_full, seen, given, dropped = ask()
        assert received == delivered == seen == len(frames) + 1 and ring_full == 0
        assert given + dropped == seen
        assert given == 3, "the question, and two for the handler to judge: from another echo port, and from port 0"
        for frame in [packets.udp_frame(b"x")] * 3000:
            cable.send_or_drop(frame)
        cable.receive_all(quiet=0.5)
        received, delivered, ring_full, seen, given, dropped = ask()
        assert received == delivered + ring_full
        assert seen == delivered
        assert given + dropped == seen


def test_the_network_has_one_owner() -> None:
    """In slices of four seconds, so that the first one has bound it before the second begins, on a busy computer too."""
    with link() as cable, running([EXAMPLES / "echo.py"] * 2, link=cable.option, slice_ticks=4 * 10**9) as guest:
        cable.guest = guest
        guest.wait_for(READY)
        guest.wait_for(b"another environment has it")
        ended = guest.wait_for_event("ended")
        assert ended.number("status") == 1
        assert_alive(cable, b"the first one goes on")


def test_an_idle_server_sleeps() -> None:
    """The whole virtual machine uses next to no processor time while nothing arrives."""
    with link() as cable, running([EXAMPLES / "echo.py"], link=cable.option) as guest:
        guest.wait_for(READY)
        time.sleep(0.3)
        before = processor_time(guest.process_id)
        time.sleep(1.5)
        assert processor_time(guest.process_id) - before < 0.5
        cable.guest = guest
        assert_alive(cable, b"and wakes up")


def test_a_second_was_half_again_as_long() -> None:
    """What the kernel took for a second was 1.4 to 2.6 of them, so a key with 0.3 seconds to live was there after 0.5:
    the first reading of the timer took as long as what was measured. No time is asked of this computer: what passed in
    the machine is at least what passed between two questions and at most what passed around them.
    """
    number = free_port()
    with running([LIBRARY / "clock.py"], forward=[f"udp:{number}:7"]) as guest:
        guest.wait_for(b"The clock answers.")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", number))
            client.settimeout(20)
            asked, told, stamps, second = list[float](), list[float](), list[int](), 0
            for _ in range(2):
                asked.append(time.monotonic())
                client.send(b"?")
                stamp, second = struct.unpack("<QQ", client.recv(100))
                told.append(time.monotonic())
                stamps.append(stamp)
                time.sleep(0.5)
    passed = (stamps[1] - stamps[0]) / second
    assert (asked[1] - told[0]) * 0.99 < passed < (told[1] - asked[0]) * 1.01, (asked, told, stamps, second)


def processor_time(process: int) -> float:
    """Seconds that a process has used (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Real clients


def test_netcat(port: int) -> None:
    if (netcat := shutil.which("nc")) is None:
        pytest.skip("needs nc")
    client = subprocess.Popen([netcat, "-u", "127.0.0.1", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert client.stdin is not None and client.stdout is not None
    try:
        for word in (b"hello\n", b"world\n"):
            client.stdin.write(word)
            client.stdin.flush()
            os.set_blocking(client.stdout.fileno(), True)
            assert client.stdout.readline() == word
    finally:
        client.kill()
        client.communicate()


def test_ten_thousand_datagrams(port: int) -> None:
    """Plain sockets over loopback: none lost, none twice. No datagram is sent again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.connect(("127.0.0.1", port))
        waiting: set[bytes] = set()
        sent = 0
        while sent < DATAGRAMS or waiting:
            while sent < DATAGRAMS and len(waiting) < WINDOW:
                data = struct.pack(">I", sent) + b"." * (sent % 100)
                client.send(data)
                waiting.add(data)
                sent += 1
            answer = client.recv(2048)
            assert answer in waiting
            waiting.remove(answer)


def test_several_clients_at_once(port: int) -> None:
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
    try:
        for client in clients:
            client.settimeout(20)
            client.connect(("127.0.0.1", port))
        for turn in range(50):
            for number, client in enumerate(clients):
                client.send(b"%d/%d" % (number, turn))
            for number, client in enumerate(clients):
                assert client.recv(100) == b"%d/%d" % (number, turn)
    finally:
        for client in clients:
            client.close()


def test_lengths_through_the_user_network(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.connect(("127.0.0.1", port))
        for length in (1, 17, 18, 19, 500, 1471, 1472):
            data = random.Random(length).randbytes(length)
            client.send(data)
            assert client.recv(2048) == data
        client.settimeout(0.2)
        for length in (1473, 3000, 60000):  # arrive as fragments, which this floor drops
            client.send(bytes(length))
            with pytest.raises(TimeoutError):
                client.recv(65536)
        client.settimeout(20)
        client.send(b"still there?")
        assert client.recv(2048) == b"still there?"


def through_a_tap(
    *command: str, application: Path = EXAMPLES / "echo.py", ready: bytes = READY
) -> subprocess.CompletedProcess[bytes]:
    """Run a command where Linux reaches the guest through a tap device."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    with beside_linux([application]) as guest:
        guest.wait_for(ready)
        return subprocess.run(command, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("size", [0, 56, 1472])
def test_ping(size: int) -> None:
    """Linux finds the guest by ARP and has every ping answered."""
    result = through_a_tap("ping", "-c", "20", "-i", "0.05", "-W", "5", "-s", str(size), "10.0.0.2")
    text = result.stdout.decode() + result.stderr.decode()
    assert result.returncode == 0, text
    assert "20 received" in text and " 0% packet loss" in text, text


def test_a_flood_of_pings() -> None:
    """As many as Linux sends, none waiting for the one before."""
    result = through_a_tap("ping", "-f", "-c", "3000", "-w", "20", "10.0.0.2")
    text = result.stdout.decode() + result.stderr.decode()
    assert result.returncode == 0 and "3000 received" in text, text


def test_linux_is_told_of_a_closed_port() -> None:
    """Linux understands our "port unreachable": the socket's next operation is refused."""
    ask = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)\n"
        "s.connect(('10.0.0.2', 9)); s.send(b'anybody?')\n"
        "try: s.recv(10)\nexcept ConnectionRefusedError: print('refused')"
    )
    result = through_a_tap(sys.executable, "-c", ask)
    assert result.stdout == b"refused\n", result.stderr.decode()
