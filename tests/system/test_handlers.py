# SPDX-License-Identifier: MIT
"""Handlers in a booted kernel: what they do to frames is what they do on the workstation, their effects are all or none,
and nothing they try reaches beyond their arena.
"""

import itertools
import random
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests import packets
from tests.aegis.handlers import EXIT, instruction, machine, wide
from tests.system.guests import EXAMPLES, Link, free_port, link, running

from exokernel.aegis.abi import ENVIRONMENTS
from exokernel.aegis.ebpf import Reason
from exokernel.aegis.handler_abi import HANDLERS, HANDLERS_EACH
from exokernel.aegis.inspection import Profile
from exokernel.aegis.translation import CONTEXT, DATA_END, FRAMES
from exokernel.host.ash_generator import Generator
from exokernel.host.exhibit import EXHIBITS, Context, load
from exokernel.host.machine import Machine

HERE = Path(__file__).parent
APPLICATIONS = HERE / "applications"
FIRST = 1000
AT_ONCE = 30  # handlers of one environment
HEADERS = 42
MOV, ADD, SUB, LOAD, STORE, CALL = 0xB7, 0x07, 0x1F, 0x61, 0x7B, 0x85
ECHO = instruction(MOV, 0, immediate=3) + EXIT
EXIT_ZERO = instruction(MOV, 0) + EXIT

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


@contextmanager
def booted(tmp_path: Path, programs: list[bytes], budgets: list[int]) -> Iterator[tuple[Machine, Link]]:
    """A machine that has loaded these."""
    (tmp_path / "handler_programs.py").write_text(f"GIVEN = {programs!r}\nBUDGETS = {budgets!r}\n")
    application = tmp_path / "handlers.py"
    shutil.copy(APPLICATIONS / "handlers.py", application)
    with link() as cable, running([application], link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"ready", 60)
        yield guest, cable


def frame(number: int, data: bytes) -> bytes:
    """For the filter of a program. The checksum is none, since the data are anything."""
    sent = bytearray(packets.udp_frame(data, port=FIRST + number))[: HEADERS + len(data)]
    sent[40:42] = bytes(2)
    return bytes(sent)


def inside(program: bytes) -> bytes:
    """A handler that gives its payload to a program as memory, puts the result behind it and sends it back."""
    take = instruction(LOAD, 2, 1, 4) + instruction(LOAD, 6, 1, 0) + instruction(ADD, 6, immediate=HEADERS)
    take += instruction(0xBF, 1, 6) + instruction(SUB, 2, 6) + instruction(0x17, 2, immediate=8)
    give = instruction(0xBF, 7, 0) + instruction(0x79, 1, 10, -8) + instruction(STORE, 1, 7, 0)
    give += instruction(MOV, 0, immediate=3) + EXIT
    # The end of the payload, kept in the frame meanwhile.
    keep = instruction(0xBF, 3, 1) + instruction(0x0F, 3, 2) + instruction(STORE, 10, 3, -8)
    call = instruction(CALL, 0, 1, 0, len(give) // 8)
    return take + keep + call + give + program


def test_handlers_do_in_the_kernel_what_they_do_on_the_workstation(tmp_path: Path) -> None:
    """Generated programs, most of which return, some of which are ended: the frame sent back, or the reason and the
    instruction, are those of `exo ash run`.
    """
    cases = [Generator(seed, helpers=False).case() for seed in range(300)]
    chosen = []
    for case in cases:
        program, budget = inside(case.program), case.budget
        outcome = machine().run(program, Profile.PACKET, frame(0, case.data + bytes(8)), budget)
        if outcome.outcome != "refused":
            chosen.append((program, case.data + bytes(8), budget))
    total = 0
    for first in (0, AT_ONCE):
        ends = 0
        some = chosen[first : first + AT_ONCE]
        with booted(tmp_path, [c[0] for c in some], [c[2] for c in some]) as (guest, cable):
            for number, (program, data, budget) in enumerate(some):
                sent = frame(number, data)
                expected = machine().run(program, Profile.PACKET, sent, budget)
                cable.send(sent)
                if expected.outcome == "returned":
                    assert cable.receive() == expected.data, number
                else:
                    ends += 1
                    said = f"ended {ends} {number} {expected.reason.value} {expected.place}\n"
                    guest.wait_for(said.encode())
            assert b"refused" not in guest.console, guest.transcript()
        total += ends
    assert len(chosen) >= 2 * AT_ONCE and 5 < total < 40


def test_effects_are_all_or_none() -> None:
    """Copies with their checksum, frames, wakes, state and the clock; none of them of a handler that is ended."""
    text = b"abcdefghijklmnopqrst"
    with link() as cable, running([APPLICATIONS / "handler_effects.py"], link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"ready", 60)

        def send(number: int) -> None:
            cable.send(frame(number, text))

        send(0)
        guest.wait_for(b"state 1")
        send(1)
        guest.wait_for(b"slot 0 62 52 21")
        send(2)
        assert [cable.receive()[42] for _ in range(3)] == [3, 1, 2]
        send(3)
        guest.wait_for(b"state 101")
        send(4)
        guest.wait_for(b"handler 4")
        send(5)
        guest.wait_for(b"child True")
        cable.send(frame(9 - FIRST, text))
        guest.wait()
        assert cable.receive_all(0.2) == []
    console = guest.console.decode()
    assert guest.status == 0 and "refused" not in console and "allowed" not in console, guest.transcript()
    assert console.count("child True") == 1 and "child False" not in console
    total = packets.checksum(text) ^ 0xFFFF
    assert f"state 1 {total:x} {2**64 - 1:x} 0 events" in console
    slots = [line for line in console.splitlines() if line.startswith("slot")]
    assert slots == [
        "slot 7 20 61 00", "slot 8 1 61 00", "slot 9 20 45 00", "slot ffffffff 14 52 00", "slot 1 4 61 00", "slot 0 62 52 21",
        "slot 0 62 52 61",
    ]  # fmt: skip
    assert "handler 3 ended, instruction 23: the program accessed memory that is not its own\n" in console
    counts = [line.split()[2:] for line in console.splitlines() if line.startswith("counts")]
    assert [[int(count) for count in line] for line in counts] == [
        [0, 1, 0, 0, 0, 0, 4, 0, 0],
        [0, 0, 1, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0, 0, 0, 2, 0],
        [0, 0, 0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert "state 101 2832 9 1 events 32" in console
    assert console.endswith("table 0 differ 0 writable False\n")


def launder(register: int, value: int) -> bytes:
    """A register that holds a number of which inspection knows nothing."""
    put = wide(9, value) + instruction(STORE, 10, 9, -8)
    return put + instruction(0x79, register, 10, -8)


PLACES = [
    0, 8, 0xFFF, 0x1000, 0xFFF8, 0x10000, DATA_END - 2048, DATA_END - 8, DATA_END - 4, DATA_END, DATA_END + 4096, CONTEXT - 8,
    CONTEXT, CONTEXT + 4088, CONTEXT + 4092, CONTEXT + 4096, FRAMES - 8, FRAMES, FRAMES + 4088, FRAMES + 4096, 0x1EE000, 0x1EDFFC,
    0x1F0000, 1 << 21, 1 << 30, 1 << 31, (1 << 32) - 1, (1 << 32) - 4096, (1 << 32) - 8192, (1 << 32) - 0x12000, 1 << 33,
    0xFFFF800000200000, 0xFFFF808000000000, 0xFFFF808000001000, 0xFFFFFFFF80200000, 0x400000, 0x200000, (1 << 64) - 8,
]  # fmt: skip


@pytest.mark.parametrize("access", [0x79, STORE, 0xDB], ids=["read", "write", "exchange"])
def test_wild_accesses_end_the_handler_and_nothing_else(tmp_path: Path, access: int) -> None:
    """All over the window, on its edges, with numbers beyond 32 bits: what is the handler's own is as on the
    workstation, everything else is its end, and the next handler runs.
    """
    programs = []
    for place in PLACES:
        body = launder(3, place) + instruction(MOV, 4, immediate=77)
        if access == 0x79:
            body += instruction(access, 4, 3)
        else:
            body += instruction(access, 3, 4, 0, 0xE1 if access == 0xDB else 0)
        programs.append(body + instruction(MOV, 0, immediate=3) + EXIT)
    total = 0
    for first in range(0, len(PLACES), AT_ONCE):
        ends = 0
        some = programs[first : first + AT_ONCE]
        with booted(tmp_path, [*some, ECHO], [100] * (len(some) + 1)) as (guest, cable):
            for number, program in enumerate(some):
                sent = frame(number, bytes(32))
                expected = machine().run(program, Profile.PACKET, sent, 100)
                cable.send(sent)
                if expected.outcome == "returned":
                    assert cable.receive() == expected.data, hex(PLACES[first + number])
                else:
                    ends += 1
                    guest.wait_for(f"ended {ends} {number} {Reason.WILD_ACCESS.value} {expected.place}\n".encode())
                cable.send(frame(len(some), bytes(18)))
                assert cable.receive() == frame(len(some), bytes(18))
        assert "panic" not in "".join(guest.control)
        total += ends
    assert 25 < total < len(PLACES)


def test_who_has_all_handlers_leaves_one_to_each() -> None:
    """Three who take as many as they get: together what is not reserved for the others."""
    with running([APPLICATIONS / "handler_hog.py"] * 3) as guest:
        for number in range(3):
            guest.wait_for(f", then True: {number}\n".encode(), 60)
        counts = [int(found) for found in re.findall(rb"has (\d+),", guest.console)]
    assert min(counts) >= 1 and sum(counts) == HANDLERS - (ENVIRONMENTS - 3) * HANDLERS_EACH


def test_endless_loops_run_out_of_their_budget(tmp_path: Path) -> None:
    """A flood of frames for handlers that never end: each costs its budget, and the others still answer."""
    loops = [
        instruction(0x05, offset=-1),
        instruction(0x06, immediate=-1),
        instruction(MOV, 0) + instruction(ADD, 0, immediate=1) + instruction(0x05, offset=-2),
        instruction(MOV, 1) + instruction(0x15, 1, 0, -1) + EXIT_ZERO,
        instruction(CALL, 0, 1, 0, 1) + EXIT + instruction(0x05, offset=-1),
        instruction(CALL, 0, 0, 0, 5) + instruction(0x05, offset=-2),
    ]
    with booted(tmp_path, [*loops, ECHO], [10000] * 7) as (guest, cable):
        for number, program in enumerate(loops):
            place = machine().run(program, Profile.PACKET, bytes(60), 10000).place
            cable.send(frame(number, bytes(18)))
            guest.wait_for(f"ended {number + 1} {number} {Reason.OVER_BUDGET.value} {place}\n".encode())
        for _ in range(20):
            for number in range(len(loops)):
                cable.send(frame(number, bytes(18)))
        guest.wait_for(f"ended {21 * len(loops)} ".encode())
        cable.send(frame(len(loops), bytes(18)))
        assert cable.receive() == frame(len(loops), bytes(18))


REFUSED = [
    (b"", 0),
    (EXIT, 0),
    (instruction(MOV, 0) * 1024 + EXIT, 1024),
    (instruction(MOV, 0) + instruction(CALL, 0, 1, 0, -1) + EXIT, None),
    (instruction(MOV, 0) + instruction(CALL, 0, 0, 0, 1), 1),
    (instruction(MOV, 0) + instruction(CALL, 0, 0, 0, 1003) + EXIT, 1),
    (instruction(MOV, 2) + instruction(CALL, 0, 0, 0, 1003) + EXIT, 1),
    (instruction(MOV, 1) + instruction(MOV, 2) + instruction(CALL, 0, 0, 0, 1003) + EXIT, 2),
    (instruction(0xBF, 1, 10) + instruction(CALL, 0, 0, 0, 1004) + EXIT, 1),
    (instruction(0x05, offset=7) + EXIT, 0),
    (instruction(0x8D) + EXIT, 0),
    (instruction(MOV, 0) * 300 + EXIT, None),
    (wide(0, 1)[:8], 0),
]


def test_malformed_programs_are_refused_with_their_reason(tmp_path: Path) -> None:
    """The kernel's reason and instruction are those of `exo ash check`."""
    with booted(tmp_path, [program for program, _ in REFUSED if len(program) <= 8192], [200] * 12) as (guest, _):
        said = [line for line in guest.console.decode().splitlines() if line.startswith("refused")]
    given = [program for program, _ in REFUSED if len(program) <= 8192]
    assert len(said) == len(given), guest.transcript()
    for number, (program, line) in enumerate(zip(given, said, strict=True)):
        found = machine().run(program, Profile.PACKET, bytes(60), 200)
        assert line == f"refused {number} -20 {found.reason.value} {found.place}"


def test_two_owners_and_the_end_of_one() -> None:
    """Each has its own frames; nobody attaches to another's filter or removes its handler; an owner that dies leaves
    nothing behind, also for who gets its numbers.
    """
    with link() as cable, running([APPLICATIONS / "handler_rivals.py"] * 2, link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"rival got 0\n", 60)
        guest.wait_for(b"bound", 60)  # which of the two is ready last is the slices' business
        for number, mark in ((0, 1), (1, 2), (0, 1), (1, 2)):
            cable.send(frame(number, bytes(18)))
            assert cable.receive()[59] == mark
        cable.send(frame(2, bytes(18)))
        guest.wait_for(b"alone")
        cable.send(frame(1, b"\x5a" * 18))
        guest.wait_for(b"took True")
        cable.send(frame(1, bytes(18)))
        guest.wait_for(b"the program accessed memory that is not its own")
        cable.send(frame(0, bytes(18)))
        assert cable.receive()[59] == 1 and cable.receive_all(0.2) == []
        assert [e.values["reason"] for e in guest.events if e.name == "ended"] == ["exception"]


def counted(text: bytes) -> int:
    return int.from_bytes(text[:4], "big")


def test_the_counter_answers_a_client_of_this_computer() -> None:
    """Through QEMU's user network, with a checksum that the client's host verifies."""
    port = free_port()
    with running([EXAMPLES / "echo_ash.py"], forward=[f"udp:{port}:7"]) as guest:
        guest.wait_for(b"A handler is ready", 60)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            for counter in (0, 41, 0xFFFF, 0xFFFFFFFF):
                client.sendto(counter.to_bytes(4, "big").ljust(18, b"\0"), ("127.0.0.1", port))
                assert counted(client.recv(100)) == (counter + 1) % 2**32, guest.transcript()


def test_the_counter_on_the_wire() -> None:
    """The answer has the right checksum; what is too short is dropped, what has options or is for another port is the
    library's, which answers ARP as ever.
    """
    with link() as cable, running([EXAMPLES / "echo_ash.py"], link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"A handler is ready", 60)
        for counter, fragment in ((0, 0), (0xFFFF, 0), (0x12345678, 0x4000), (0xFFFFFFFF, 0)):
            sent = packets.udp_frame(counter.to_bytes(4, "big") + bytes(14), port=7, fragment=fragment)
            after = ((counter + 1) % 2**32).to_bytes(4, "big") + bytes(14)
            cable.send(sent)
            answer = cable.receive()
            hosts = {"sender": packets.GUEST, "receiver": packets.PEER}
            back = packets.udp_frame(after, port=40000, source_port=7, fragment=fragment, **hosts)
            assert answer[:40] == back[:40] and answer[42:] == back[42:]
            assert int.from_bytes(answer[40:42], "big") % 0xFFFF == int.from_bytes(back[40:42], "big") % 0xFFFF
        cable.send(packets.udp_frame(b"abc", port=7)[:45])
        cable.send(packets.udp_frame(bytes(18), port=9))
        assert cable.receive()[23] == 1  # ICMP: nobody listens there
        assert cable.receive_all(0.2) == []


CLANG = next((found for name in ("clang", "clang-14", "clang-16") if (found := shutil.which(name))), None)


@pytest.mark.skipif(CLANG is None, reason="needs clang")
def test_an_xdp_program_of_clang_runs_unchanged(tmp_path: Path) -> None:
    """Answers echo requests, and drops those with a wrong header checksum; the object is a file beside the application."""
    subprocess.run(
        [str(CLANG), "-O2", "-target", "bpf", "-c", str(HERE.parent / "host/handlers/xdp.c"), "-o", tmp_path / "xdp.o"],
        check=True,
    )
    application = tmp_path / "ping.py"
    application.write_text(PING)
    with link() as cable, running([application], link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"ready\n", 60)
        message = bytes.fromhex("0800 0000 1234 0001") + bytes(range(18))
        message = message[:2] + packets.checksum(message).to_bytes(2, "big") + message[4:]
        request = packets.ipv4_frame(1, message)
        cable.send(request[:24] + b"\x12\x34" + request[26:])
        cable.send(request)
        reply = bytes(4) + message[4:]
        reply = reply[:2] + packets.checksum(reply).to_bytes(2, "big") + reply[4:]
        turned = request[6:12] + request[:6] + request[12:26] + request[30:34] + request[26:30]
        assert cable.receive() == turned + reply
        cable.send(packets.udp_frame(b"quit"))
        guest.wait()
        assert guest.console == b"ready\nsent back 1 dropped 1 passed 1\n", guest.transcript()


PING = """
from pathlib import Path
from typing import Final
from exokernel.aegis import abi
from exokernel.aegis.abi import Atom
from exokernel.aegis.handler_abi import HandlerCount
from exokernel.exos import aegis, ash
from exokernel.metal import Array, addr, i64, u64

XDP: Final[ash.Program] = ash.program(Path(__file__).with_name("xdp.o"), section="xdp")
ring: abi.ReceiveRing = abi.ReceiveRing()
everything: Array[Atom, 1] = Array[Atom, 1]()


def main() -> None:
    handler = ash.attach(aegis.filter_bind(u64(addr(ring)), u64(addr(everything)), 0, abi.ANY), XDP)
    print("ready")
    while ring.indices.producer == 0:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    sent = ash.counted(handler, HandlerCount.SENT_BACK)
    print(f"sent back {sent} dropped {ash.counted(handler, HandlerCount.DROPPED)}", end="")
    print(f" passed {ash.counted(handler, HandlerCount.PASSED)}")
"""


def test_a_handler_gives_away_no_time_but_its_owners() -> None:
    """A child without a slice runs when the packet comes in a slice of the handler's owner, and never in another's."""
    applications = [APPLICATIONS / "handler_run.py", APPLICATIONS / "computing.py"]
    with link() as cable, running(applications, link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"child 2 0 True\n", 60)
        for _ in range(20):
            cable.send(frame(0, bytes(18)))
            time.sleep(0.01)
        cable.send(frame(1, bytes(18)))
        guest.wait_for(b"computing\n")
        assert b"child runs" not in guest.console
        deadline, chance = time.monotonic() + 60, random.Random(1)
        while guest.running and time.monotonic() < deadline:  # a slice may end before the child has
            with suppress(OSError):
                cable.send(frame(0, bytes(18)))
            time.sleep(chance.uniform(0.001, 0.03))  # at any moment of the slices
        guest.wait()
        assert guest.console.endswith(b"computing\nchild runs 32\ndone\n"), guest.transcript()


def test_an_answer_costs_what_is_said() -> None:
    """From the interrupt to the device (bench/ash), the least of some frames: clock ticks come between."""
    figures = {
        (figure["row"], figure["variant"]): figure["min"]
        for figure in itertools.islice(load("ash", EXHIBITS / "ash/exhibit.py").rows(Context("ash", runs=3)), 4)
    }
    assert 103 < figures["echo-handler", ""] <= 260
    assert figures["echo-handler", "checksum"] < 300
    assert figures["echo-library", ""] <= 900
