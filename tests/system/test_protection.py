# SPDX-License-Identifier: MIT
"""What the kernel promises about protection, tried in booted machines, and the machines that it boots on."""

from __future__ import annotations

import importlib.util
import re
import shutil
import socket
from pathlib import Path

import pytest
from tests.system.guests import ANSWER, EXAMPLES, TIMEOUT, free_port, running

from exokernel.aegis import calls
from exokernel.aegis.abi import Call
from exokernel.host import interface
from exokernel.host.build import build
from exokernel.host.image import PAGE, read_bundle
from exokernel.host.machine import Forward, Machine, Options

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

APPLICATIONS = Path(__file__).parent / "applications"
ATTACKS, BAD_CALLS, WITNESS, EVENTS, THIEF, RIVALS = (
    APPLICATIONS / f"{name}.py" for name in ("attacks", "bad_calls", "witness", "events", "thief", "rivals")
)
PREEMPTED = APPLICATIONS.with_name("threads") / "preempted.py"


def expected_exceptions(table: str) -> dict[str, tuple[int, ...]]:
    """A table of the attacking application: which vectors each of its functions may meet, in order."""
    specification = importlib.util.spec_from_file_location("attacks", ATTACKS)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return {function.__name__: vectors for function, vectors in getattr(module, table).items()}


def test_every_attack_is_an_exception_that_the_application_survives() -> None:
    with running([ATTACKS]) as guest:
        guest.wait()
        found = re.findall(rb"attack (\d+) exceptions (\d+) vector (\d+)", guest.console)
        for (name, vectors), (_, count, vector) in zip(expected_exceptions("ATTACKS").items(), found, strict=True):
            assert int(count) == 1 and int(vector) in vectors, f"{name}\n{guest.transcript()}"
        assert guest.console.endswith(b"done\n") and guest.status == 0, guest.transcript()


def test_every_attack_without_a_handler_is_the_end_of_the_attacker_only() -> None:
    """One environment per attack, and a witness that outlives them all; every frame of theirs comes back."""
    expected = expected_exceptions("ATTACKS") | expected_exceptions("FATAL")
    with running([WITNESS, *[ATTACKS] * len(expected)]) as guest:
        guest.wait()
        ended = {e.number("environment"): e for e in guest.events if e.name == "ended"}
        for number, (name, vectors) in enumerate(expected.items(), 1):
            event = ended.get(number)
            assert event is not None and event.values["reason"] == "exception", f"{name}\n{guest.transcript()}"
            assert event.number("vector") in vectors, f"{name}: {event}"
            assert {"ip", "sp", "flags", "address", "error", "rax", "r15"} <= event.values.keys()
        assert b"survived" not in guest.console, guest.transcript()
        others, free = last_words(guest)
        assert others == 0
        assert guest.status == 0, guest.transcript()
        bundle = bundle_pages(guest)
    with running([WITNESS]) as alone:
        alone.wait()
        assert free + bundle == last_words(alone)[1] + bundle_pages(alone), alone.transcript()


def last_words(guest: Machine) -> tuple[int, int]:
    """What the witness says: how many others are left, how many frames are free."""
    found = re.fullmatch(rb"others (\d+) free frames (\d+)\n", guest.console)
    assert found, guest.transcript()
    return int(found[1]), int(found[2])


def bundle_pages(guest: Machine) -> int:
    return len(read_bundle(guest.kernel.read_bytes()).to_bytes()) // PAGE


def test_every_call_is_in_the_kernels_table_and_described() -> None:
    assert {*calls.OWN_ENTRIES, *calls.CALLS} == set(Call) == {description.call for description in interface.INTERFACE}
    assert len(calls.ENTRIES) == 256 and len(calls.HANDLERS) >= 256


def test_calls_refuse_what_they_must() -> None:
    with running([BAD_CALLS]) as guest:
        guest.wait()
        assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


def test_no_frame_shows_anything_of_another_environment() -> None:
    """Neither of one that lives nor of one that ended; and every free frame can be had."""
    with running([THIEF] * 3, memory=16) as guest:
        guest.wait()
        said = re.fullmatch(
            rb"own (\d+) mapped (\d+) secrets (\d+)\nfree (\d+) claimed (\d+) secrets (\d+)\n", guest.console
        )
        assert said, guest.transcript()
        own, mapped, seen, free, claimed, seen_later = map(int, said.groups())
        assert seen == seen_later == 0 and 0 < mapped < own and free == claimed > 0, guest.transcript()


def test_the_network_has_one_owner_at_a_time() -> None:
    with running([RIVALS] * 2) as guest:
        guest.wait()
        assert guest.console.splitlines() == [
            b"first 0",
            b"bind True",
            b"transmit True",
            b"bind 0 nodes refused True",
            b"again 0 nodes refused True",
        ], guest.transcript()


def test_interrupted_environments_keep_their_registers_and_deadlines_are_met() -> None:
    """Three environments compute at once, each interrupted every millisecond; one sleeps meanwhile."""
    with running([PREEMPTED] * 4) as guest:
        guest.wait()
        ended = [e for e in guest.events if e.name == "ended"]
        assert len(ended) == 4 and all(e.number("status") == 0 for e in ended), guest.transcript()
        slept = [int(n) for n in re.findall(rb"slept (\d+)", guest.console)]
        assert len(slept) == 3 and min(slept) >= 20, guest.transcript()
        assert max(slept) < 2000, guest.transcript()  # a millisecond or two later, unless the host is very busy


def test_an_idle_machine_wakes_at_the_deadline() -> None:
    """With instructions as the clock nothing else disturbs it."""
    with Machine(build([PREEMPTED]).path, Options(icount=True), timeout=TIMEOUT) as guest:
        guest.wait()
        assert guest.console == b"slept 20\n" * 3 + b"done\n", guest.transcript()


def test_an_event_interrupts_once_and_the_application_goes_on() -> None:
    with running([EVENTS]) as guest:
        guest.wait()
        assert guest.console.splitlines() == [
            b"masked 0",
            b"interrupted 1 entry 0 cause 1",
            b"not again 1",
            b"wait 1",
            b"wait 0",
        ], guest.transcript()


def test_a_kernel_without_a_bundle_says_so() -> None:
    with Machine(build([EVENTS]).kernel.path, timeout=TIMEOUT) as guest:
        guest.wait()
        assert guest.control == ["panic reason=no-bundle"], guest.transcript()


@pytest.mark.parametrize(
    ("machine", "memory", "icount"),
    [
        ("microvm", 8, False),
        ("microvm", 64, True),
        ("microvm", 4096, False),
        ("microvm,acpi=on", 64, False),
        ("pc", 64, False),
        ("pc", 8, False),
        ("q35", 64, False),
        ("q35", 3072, False),
    ],
)
def test_the_same_image_boots_everywhere(machine: str, memory: int, icount: bool) -> None:
    """The network too: over PCI where there is no virtio-mmio."""
    options = Options(machine=machine, memory=memory, icount=icount)
    with Machine(build([BAD_CALLS]).path, options, timeout=TIMEOUT) as guest:
        guest.wait()
        assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


@pytest.mark.parametrize("machine", ["microvm,acpi=on", "pc", "q35"])
def test_the_network_interrupts_everywhere(machine: str) -> None:
    """A device whose interrupts were lost would not be looked at: nothing polls it."""
    port = free_port()
    options = Options(machine=machine, forward=(Forward("udp", port, 7),))
    with Machine(build([EXAMPLES / "echo.py"]).path, options, timeout=TIMEOUT) as guest:
        guest.wait_for(b"Echo on UDP")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(ANSWER)
            for number in range(100):
                client.sendto(b"%d" % number, ("127.0.0.1", port))
                assert client.recv(100) == b"%d" % number, guest.transcript()
