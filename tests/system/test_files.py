# SPDX-License-Identifier: MIT
"""The bundle's files and programs, read in booted machines, and bundles that are damaged."""

from __future__ import annotations

import random
import shutil
import struct
from collections import Counter
from pathlib import Path

import pytest
from tests.system.guests import EXAMPLES, TIMEOUT, running

from exokernel.aegis.abi import ENVIRONMENT_FRAMES
from exokernel.host.build import Image, build
from exokernel.host.image import EXECUTE, WRITE, read_bundle
from exokernel.host.machine import Machine, Options
from exokernel.metal.linker import PF_W, PF_X, segments, symbols

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

APPLICATIONS = Path(__file__).parent / "applications"
WITNESS = APPLICATIONS / "witness.py"
LARGE = 5_000_001  # bytes
HEADER, PROGRAM, FILE = 64, 208, 128  # bytes
NAME, OFFSET, SIZE = 0, 112, 120  # of a file's entry


def digest(data: bytes) -> str:
    """FNV-1a, as the application prints it."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:#x}"


@pytest.fixture(scope="module")
def librarian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application with its files, and a program that is not started."""
    folder = tmp_path_factory.mktemp("librarian")
    chance = random.Random(4)
    (folder / "data").mkdir()
    for name, size in (("motd.txt", 7), ("data/table.bin", 5000), ("empty", 0), ("page", 4096), ("large.bin", LARGE)):
        (folder / name).write_bytes(chance.randbytes(size))
    shutil.copyfile(EXAMPLES / "hello.py", folder / "spare.py")
    shutil.copyfile(APPLICATIONS / "starving.py", folder / "starving.py")
    return Path(shutil.copyfile(APPLICATIONS / "librarian.py", folder / "librarian.py"))


def test_everybody_reads_all_files_and_programs(librarian: Path) -> None:
    """Three at once; each sees the same, which is what the workstation put there."""
    bundle = read_bundle(build([WITNESS, *[librarian] * 3]).data)
    names = [program.name for program in bundle.programs]
    assert names == ["witness", "librarian", "librarian-2", "librarian-3", "spare"]
    expected = ["found 0 1 2 3"]
    for number, file in enumerate(bundle.files):
        size, pages = len(file.data), -(-len(file.data) // 4096)
        expected.append(f"file {number} 0 {size} {digest(file.data)} True")
        expected.append(f"mapped {pages} {digest(file.data)} 0 {2 if size else 0}")
    expected += ["absent -100 -100 -100 -100 -100 0", "nowhere -3 -3 -100", "not public -4 0"]
    for name in ("librarian", "spare"):
        number = names.index(name)
        expected.append(f"program {name} {number}")
        for s in bundle.programs[number].segments:
            rights = (EXECUTE if s.flags & PF_X else 0) | (WRITE if s.flags & PF_W else 0)
            expected.append(f"segment 0 {s.virtual:#x} {rights} {s.memory_size} {digest(s.data)}")
            expected += ["frame True 3"] if s.data else []
    expected += ["program spare.py -100", "done"]
    with running([WITNESS, *[librarian] * 3]) as guest:
        guest.wait()
        *said, last = guest.console.decode().splitlines()
        assert Counter(said) == Counter(expected * 3) and last.startswith("others 0 "), guest.transcript()
        assert {e.values["name"] for e in guest.events if e.name == "start"} == {"witness", *names[1:4]}


def test_without_frames_a_file_is_an_error_and_later_it_is_there(librarian: Path) -> None:
    with running([librarian.with_name("starving.py")], memory=16) as guest:
        guest.wait()
        text = librarian.with_name("motd.txt").read_bytes()
        assert guest.console == b"starved -5 -5 -5\nfed 0 " + text + b" -5\nagain 1\n", guest.transcript()


def test_a_program_is_started_from_where_it_lies(librarian: Path) -> None:
    """The code of three processes is the bundle's; each has frames of its own for what it writes, and they come back."""
    source = librarian.with_name("spawning.py")
    shutil.copyfile(APPLICATIONS / "spawning.py", source)
    spare = read_bundle(build([source]).data).programs[1]
    written = sum(-(-s.memory_size // 4096) for s in spare.segments if s.flags & PF_W)
    with running([source]) as guest:
        guest.wait()
        lines = guest.console.decode().splitlines()
        assert f"frames {3 * (ENVIRONMENT_FRAMES + 1 + 4 + written)}" in lines, guest.transcript()
        assert sorted(line for line in lines if line.startswith("Hello")) == [
            f"Hello from environment {number}" for number in (1, 2, 3)
        ]
        assert lines[-1] == "done" and len(lines) == 8 and guest.status == 0, guest.transcript()


def damaged(image: Image, folder: Path, damages: list[tuple[int, bytes]]) -> Path:
    """A copy of the image with bytes of its bundle, by their place there, replaced."""
    data = bytearray(image.data)
    end = symbols(image.data)["__image_end"]
    found = next(s for s in segments(image.data) if s.virtual == end)
    start = image.data.index(found.data)
    for place, raw in damages:
        data[start + place : start + place + len(raw)] = raw
    path = folder / "damaged.elf"
    path.write_bytes(data)
    return path


PEEKING = """
from exokernel.exos import files
from exokernel.metal import u64
FILES = ["motd.txt", "page"]
PROGRAMS = ["spare.py"]
def main() -> None:
    first, error = files.view(0)
    second, another = files.view(1)
    print(files.open(), error, len(first), another, len(second), files.map_at(0, 0x20000), end=" ")
    print(files.find(b"motd.txt"), files.find_program(b"spare"))
"""
HUGE = struct.pack("<Q", 2**64 - 4096)
FILES_AT = HEADER + 2 * PROGRAM
SPARE = HEADER + PROGRAM


@pytest.mark.parametrize(
    ("damages", "said"),
    [
        ([], "0 0 7 0 4096 1 0 1"),
        ([(FILES_AT + OFFSET, HUGE)], "0 -101 0 0 4096 -101 0 1"),
        ([(FILES_AT + OFFSET, struct.pack("<Q", 4097))], "0 -101 0 0 4096 -101 0 1"),
        ([(FILES_AT + SIZE, HUGE)], "0 -101 0 0 4096 -101 0 1"),
        ([(FILES_AT + SIZE, struct.pack("<Q", 1 << 30))], "0 -101 0 0 4096 -101 0 1"),
        ([(FILES_AT + NAME, b"x" * 112)], "0 0 7 0 4096 1 -100 1"),
        ([(20, b"\xff\xff\xff\xff")], "-101 -101 0 -101 0 -101 -101 -101"),  # how many files
        ([(16, b"\xff\xff\xff\xff")], "-101 -101 0 -101 0 -101 -101 -101"),  # how many programs
        ([(20, b"\x01")], "0 0 7 -100 0 1 0 1"),
        ([(20, b"\x00")], "0 -100 0 -100 0 -100 -100 1"),
        ([(SPARE + 32, HUGE)], "0 0 7 0 4096 1 0 -101"),  # its entry
        ([(SPARE + 40, b"\x05")], "0 0 7 0 4096 1 0 -101"),  # how many segments
        ([(SPARE + 48, HUGE)], "0 0 7 0 4096 1 0 -101"),  # where the first is loaded
        ([(SPARE + 48 + 8, HUGE)], "0 0 7 0 4096 1 0 -101"),  # and lies in the bundle
        ([(SPARE + 48 + 24, b"\0" * 8)], "0 0 7 0 4096 1 0 -101"),  # its size in memory
        ([(SPARE + 48 + 32, b"\x03")], "0 0 7 0 4096 1 0 -101"),  # writable and executable
    ],
)
def test_a_damaged_bundle_is_an_error(
    damages: list[tuple[int, bytes]], said: str, librarian: Path, tmp_path: Path
) -> None:
    source = librarian.with_name("peeking.py")
    source.write_text(PEEKING)
    with Machine(damaged(build([source]), tmp_path, damages), Options(), timeout=TIMEOUT) as guest:
        guest.wait()
        assert guest.console.decode() == said + "\n" and guest.status == 0, guest.transcript()


@pytest.mark.parametrize("count", [0, 2, 65])
def test_a_bundle_that_starts_programs_it_has_not_is_refused(count: int, tmp_path: Path) -> None:
    path = damaged(build([EXAMPLES / "hello.py"]), tmp_path, [(28, bytes([count]))])
    with Machine(path, Options(), timeout=TIMEOUT) as guest:
        guest.wait()
        assert guest.control[-1] == "panic reason=bad-bundle", guest.transcript()


def test_what_has_no_place_can_be_mapped_anywhere(tmp_path: Path) -> None:
    """Behind the first 64 MiB of a bundle."""
    (tmp_path / "first").write_bytes(bytes(64 << 20))
    (tmp_path / "second").write_bytes(b"far away")
    source = tmp_path / "far.py"
    source.write_text("""
from exokernel.exos import files
from exokernel.metal import Ptr, Span, u8, u64
FILES = ["first", "second"]
def main() -> None:
    number = u64(files.find(b"second"))
    data, error = files.view(number)
    print(error, len(data), files.map_at(number, 0x20000), Span[u8](Ptr[u8](0x20000000), 8))
""")
    image = build([source], cache=tmp_path)
    with Machine(image.path, Options(memory=256), timeout=TIMEOUT) as guest:
        guest.wait()
        assert guest.console == b"-102 0 1 far away\n", guest.transcript()


def test_who_does_not_import_it_pays_nothing() -> None:
    elf = build([EXAMPLES / "hello.py"]).applications[0].elf
    assert not any("files" in name for name in symbols(elf))
