# SPDX-License-Identifier: MIT
"""Crash reports: the event of the control channel, seen through the debug information of a real program."""

from pathlib import Path

import pytest
from tests.host.commands import HELLO, Write

from exokernel.host.build import Compiled, Image, build
from exokernel.host.machine import Event, Machine
from exokernel.host.report import crash, what
from exokernel.host.symbolize import TRAP_INSTRUCTION, Symbolizer
from exokernel.metal.linker import symbols

APPLICATION = """from exokernel.metal import Array, noinline, u32, u64

numbers: Array[u32, 4] = Array[u32, 4]([1, 2, 3, 4])


@noinline
def look_up(index: u64) -> u32:
    return numbers[index]


def main() -> None:
    print(look_up(u64(numbers[3]) + 5))
"""


@pytest.fixture(scope="module")
def crashed(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Image, Event]:
    path = tmp_path_factory.mktemp("crashed") / "crashing.py"
    path.write_text(APPLICATION)
    image = build([path], cache=cache)
    with Machine(image.path) as machine:
        machine.wait()
        assert machine.status == 128 + 6
        return image, next(e for e in machine.events if e.name == "ended")


def test_a_trap_is_found_in_its_source(crashed: tuple[Image, Event]) -> None:
    image, event = crashed
    address = event.number("ip")
    assert address is not None
    reader = Symbolizer(image.applications[0].elf)
    assert reader.trap(address) == "index out of range"
    frames = reader.frames(address)
    assert frames[0].function == "look_up"
    assert Path(frames[0].file).name == "crashing.py"
    assert frames[0].line == 8
    assert "look_up" in reader.function(address)


def test_the_report_says_what_where_and_the_registers(crashed: tuple[Image, Event]) -> None:
    image, event = crashed
    text = crash(event, image.kernel, image.applications)
    lines = text.splitlines()
    assert lines[0] == "crash: crashing (environment 0): index out of range"
    assert lines[1].endswith("crashing.py:8 in look_up")
    assert lines[2].strip() == "return numbers[index]"
    assert f"ip {event.number('ip'):016x}" in text
    assert sum(f" {name} " in text for name in ("rax", "rsi", "r8", "r15", "flags", "sp")) == 6


def test_functions_are_found_by_address(cache: Path) -> None:
    kernel = build([HELLO], cache=cache).kernel
    reader = Symbolizer(kernel.elf)
    names = symbols(kernel.elf)
    for name in ("exokernel.aegis.ending.exit", "exokernel.aegis.console.write"):
        assert reader.function(names[name]) == name
        frame = reader.frames(names[name])[-1]
        assert frame.function == name.rsplit(".", 1)[1]
        assert frame.file.endswith(f"{name.split('.')[2]}.py")
    assert reader.frames(0x10) == []
    assert reader.function(0x10) == ""
    assert reader.trap(0x10) is None


def test_inlined_functions_have_their_callers(cache: Path, application: Write) -> None:
    text = APPLICATION.replace("@noinline\n", "").replace("noinline, ", "")
    image = build([application(text, "inlining.py")], cache=cache)
    with Machine(image.path) as machine:
        machine.wait()
    address = next(e for e in machine.events if e.name == "ended").number("ip")
    assert address is not None
    frames = Symbolizer(image.applications[0].elf).frames(address)
    assert [f.function for f in frames[:2]] == ["look_up", "main"]
    lines = text.splitlines()
    assert [f.line for f in frames[:2]] == [lines.index("    return numbers[index]") + 1, len(lines)]


def test_a_kernel_panic_is_read_from_the_kernel(cache: Path) -> None:
    image = build([HELLO], cache=cache)
    address = symbols(image.kernel.elf)["exokernel.aegis.console.write"]
    event = Event.parse(f"panic vector=0xe error=0x2 address=0x1234 ip={address:#x} sp=0x0 flags=0x2")
    lines = crash(event, image.kernel, image.applications).splitlines()
    assert lines[0] == "crash: the kernel: page fault: writing 0x1234, nothing is mapped there"
    assert "in write" in lines[1]
    reason = crash(Event.parse("panic reason=no frames left"), image.kernel, image.applications)
    assert reason == "crash: the kernel: no frames left"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ended vector=0xe error=0x15 address=0x3efdf8", "page fault: executing 0x3efdf8, it is protected"),
        ("ended vector=0xe error=0x4 address=0x0", "page fault: reading 0x0, nothing is mapped there"),
        ("ended vector=0x0 error=0x0", "division error (vector 0)"),
        ("ended vector=0xd error=0x18", "general protection fault (vector 13, error code 0x18)"),
        ("ended vector=0x63", "unexpected interrupt (vector 99)"),
    ],
)
def test_exceptions_in_words(line: str, expected: str) -> None:
    assert what(Event.parse(line), None) == expected


def test_an_address_outside_every_program_is_said_to_be_so(cache: Path) -> None:
    image = build([HELLO], cache=cache)
    event = Event.parse("ended environment=0x0 name=hello reason=exception vector=0xe error=0x14 address=0x10 ip=0x10")
    assert "at 0x10, which is in no program's code" in crash(event, image.kernel, image.applications)
    stranger = Compiled("other", "other.py", Path("other.elf"), image.kernel.elf)
    assert "at 0x10" in crash(event, image.kernel, [stranger])


def test_the_trap_instruction_is_the_documented_one(crashed: tuple[Image, Event]) -> None:
    assert bytes.fromhex("670fb940") == TRAP_INSTRUCTION
    assert TRAP_INSTRUCTION in crashed[0].applications[0].elf
