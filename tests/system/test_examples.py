# SPDX-License-Identifier: MIT
"""The examples do what they say at their top."""

from __future__ import annotations

import shutil
import time

import pytest
from tests import packets
from tests.system.guests import EXAMPLES, link, running

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


def test_hello_prints_and_ends() -> None:
    with running([EXAMPLES / "hello.py"]) as guest:
        guest.wait()
        assert guest.console.startswith(b"Hello from environment 0\n"), guest.transcript()
        assert guest.status == 0


def test_files_prints_itself() -> None:
    with running([EXAMPLES / "files.py"]) as guest:
        guest.wait()
        assert guest.console == (EXAMPLES / "files.py").read_bytes() and guest.status == 0, guest.transcript()


def test_checkpoints_keep_their_instants() -> None:
    """The numbers are those of a sieve in CPython, stopped after the same primes."""
    sieve, primes, expected = bytearray(400_000), [], []
    for number in range(2, 633):
        if not sieve[number]:
            sieve[number * number :: number] = b"\1" * len(range(number * number, len(sieve), number))
            primes.append(number)
            left = sieve[2:].count(0)
            if number in (2, 3, 7, 31):
                expected.append(f"checkpoint after {number}: {left} numbers not crossed out, as there were {left}")
    with running([EXAMPLES / "checkpoint.py"]) as guest:
        guest.wait()
        first, *others = guest.console.decode().splitlines()
        assert sorted(others) == sorted(expected) and guest.status == 0, guest.transcript()
        assert first.startswith(f"{sieve[2:].count(0)} primes below 400000; "), guest.transcript()


def test_crash_handles_everything_and_then_ends() -> None:
    """Each way of crashing shows its exception number, in this order; the last one is the kernel's to report."""
    with running([EXAMPLES / "crash.py"]) as guest:
        guest.wait()
        vectors = [int(line.split()[1]) for line in guest.console.splitlines() if line.startswith(b"    exception")]
        assert vectors == [14, 14, 14, 14, 13, 13, 0, 6, 3], guest.transcript()
        assert b"address 0xffffffff80200000" in guest.console
        assert b"9 exceptions handled" in guest.console
        ended = guest.wait_for_event("ended")
        assert ended.number("vector") == 6
        assert guest.status == 128 + 6


def test_echo_in_eight_mebibytes() -> None:
    with link() as wire, running([EXAMPLES / "echo.py"], link=wire.option, memory=8) as guest:
        guest.wait_for(b"Echo on UDP 10.0.0.2, port 7")
        wire.guest = guest
        frame = packets.udp_frame(b"small")
        wire.send(frame)
        assert wire.receive() == packets.expected_answer(frame)


def test_one_crashes_the_other_answers() -> None:
    with link() as wire, running([EXAMPLES / "echo.py", EXAMPLES / "crash.py"], link=wire.option) as guest:
        guest.wait_for(b"Echo on UDP")
        wire.guest = guest
        deadline, after = time.monotonic() + 30, 0
        while after < 200 and time.monotonic() < deadline:
            frame = packets.udp_frame(b"are you there? %d" % after)
            wire.send(frame)
            assert wire.receive() == packets.expected_answer(frame)
            after += any(e.name == "ended" for e in guest.events)
        ended = guest.wait_for_event("ended")
        assert ended.values["name"] == "crash" and ended.values["reason"] == "exception", guest.transcript()
        assert after == 200
        lines = [line for line in guest.console.splitlines() if not line.startswith(b"Echo on UDP")]
        assert len(lines) == 19 and all(line.startswith(b"    exception") for line in lines[1:18:2]), guest.transcript()


def test_a_producer_and_a_consumer() -> None:
    with running([EXAMPLES / "producer_consumer.py"] * 2) as guest:
        guest.wait()
        assert guest.console == b"10000 numbers, their sum is 49995000\n", guest.transcript()
        assert guest.status == 0


def test_two_clients_that_do_not_trust_their_server() -> None:
    """The books are right, and nobody gets at the other's account."""
    with running([EXAMPLES / "rpc_server.py", *[EXAMPLES / "rpc_client.py"] * 2]) as guest:
        guest.wait()
        assert sorted(guest.console.splitlines()) == [
            b"environment 1 has 499500; more than that it gets: False",
            b"environment 1 left 499500",
            b"environment 2 has 999000; more than that it gets: False",
            b"environment 2 left 999000",
        ], guest.transcript()
        assert guest.status == 0


def test_own_scheduler_lets_who_holds_more_tickets_be_done_first() -> None:
    """Tickets 1, 3 and 9, the same work: with some hundred draws no other order is thinkable."""
    with running([EXAMPLES / "own_scheduler.py"] * 4) as guest:
        guest.wait()
        lines = guest.console.decode().splitlines()
        assert [line.split(":")[0] for line in lines[:3]] == [f"environment {n} is done" for n in (3, 2, 1)]
        had = [int(line.split()[-2]) for line in lines[3:]]
        assert len(had) == 3 and min(had) > 50, guest.transcript()
        assert guest.status == 0


def test_own_page_table_finds_every_page() -> None:
    with running([EXAMPLES / "own_page_table.py"]) as guest:
        guest.wait()
        lines = guest.console.decode().splitlines()
        assert lines[0] == "1000 pages touched, 1000 new entries, 0 wrong", guest.transcript()
        assert lines[2] == "after the region's end: 0 entries left" and guest.status == 0, guest.transcript()


def test_write_barrier_loses_no_reference() -> None:
    with running([EXAMPLES / "write_barrier.py"]) as guest:
        guest.wait()
        lines = guest.console.decode().splitlines()
        assert lines[0] == "20 collections, 327680 objects made, 820 stored, 820 alive, 0 wrong", guest.transcript()
        assert guest.status == 0
        assert int(lines[1].split(" % ")[0].split()[-1]) < 50, "the barrier is worth it"
