# SPDX-License-Identifier: MIT
"""examples/top.py shows the kernel's own books, and they add up."""

import re
import shutil
import socket

import pytest
from tests.system.guests import ANSWER, EXAMPLES, free_port, running

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


def test_top_shows_what_the_kernel_shows() -> None:
    """Environments, frames, slices and the network's counters, and again a second later."""
    port = free_port()
    with running([EXAMPLES / "top.py", EXAMPLES / "echo.py"], forward=(f"udp:{port}:7",)) as guest:
        guest.wait_for(b"Echo on UDP")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(ANSWER)
            client.sendto(b"hello", ("127.0.0.1", port))
            assert client.recv(100) == b"hello"
        seconds = len(re.findall(rb"second \d+:", guest.console))
        screen = guest.wait_for(f"second {seconds + 1}:".encode()).split(b"\x1b[H\x1b[J")[-2].decode()
        rows = re.findall(r"^ +(\d+)  (runnable|sleeping) +(\d+) +(\d+) +0  (top|echo)$", screen, re.MULTILINE)
        assert [(number, state, name) for number, state, _, _, name in rows] == [
            ("0", "runnable", "top"),
            ("1", "sleeping", "echo"),
        ], guest.transcript()
        total, free, slices = map(int, re.findall(r"(\d+) frames, (\d+) free, (\d+) slices free", screen)[0])
        assert 0 < sum(int(frames) for _, _, frames, _, _ in rows) < total - free
        assert sum(int(owned) for _, _, _, owned, _ in rows) + slices == 64
        counts = r"(\d+) received, (\d+) delivered, (\d+) unmatched, (\d+) too many, (\d+) malformed"
        received, delivered, *lost = map(int, re.findall(counts, screen)[0])
        assert received == delivered + sum(lost) and delivered > 0, screen
        sent, uncopied = map(int, re.findall(r"sent: (\d+) frames, (\d+) uncopied, 0 refused", screen)[0])
        assert sent > 0 and uncopied == 0, screen  # the answers are short
        interrupts, wakes = map(int, re.findall(r"events: (\d+) packet interrupts.* (\d+) wakes", screen)[0])
        assert 0 < interrupts <= delivered and wakes > 0, screen
