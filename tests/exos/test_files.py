# SPDX-License-Identifier: MIT
"""What `exos.files` believes of a bundle, against the workstation's own reader and against arithmetic that does not wrap."""

from __future__ import annotations

import struct
import types
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.exos.ways import WAYS, memory

from exokernel.aegis import abi
from exokernel.aegis.abi import BundleHeader, BundleProgram, BundleSegment
from exokernel.exos import files
from exokernel.host import image
from exokernel.metal import Array, sizeof, u8
from exokernel.metal.linker import PF_R, PF_W, PF_X, Segment

words = st.one_of(
    st.integers(0, 2**64 - 1),
    st.integers(0, 64).map(lambda n: n * 4096),
    st.integers(0, 20000),
    st.integers(1, 64).map(lambda n: 2**64 - n * 4096 - n % 2),
    st.integers(-2, 2).map(lambda n: abi.USER_LIMIT + n * 4096),
)
halves = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))


@pytest.fixture(scope="module", params=list(WAYS))
def code(request: pytest.FixtureRequest) -> Any:
    way = WAYS[request.param]
    names = ("tables_bytes", "is_bundle", "lies_within", "is_segment", "is_program", "is_name")
    return types.SimpleNamespace(**{n: getattr(way(getattr(files, n)), n) for n in names})


def can_be_loaded(virtual: int, offset: int, size: int, memory_size: int, flags: int, total: int) -> bool:
    """Of a segment, in whole numbers."""
    return (
        offset % 4096 == virtual % 4096 == 0
        and offset + size <= total
        and size <= memory_size
        and virtual >= abi.IMAGE_ADDRESS
        and virtual + memory_size <= abi.USER_LIMIT
        and flags & 3 != 3
    )


@settings(deadline=None)
@given(words, words, words)
@example(2**64 - 4096, 4096, 8192)
@example(8192, 0, 8192)
def test_what_lies_within_a_bundle(code: Any, offset: int, size: int, total: int) -> None:
    assert code.lies_within(offset, size, total) == (offset % 4096 == 0 and offset + size <= total)


@settings(deadline=None)
@given(words, halves, halves, st.integers(0, 1 << 24), st.booleans())
@example(4096, 19, 0, 1, True)
@example(4096, 20, 0, 1, True)
def test_the_tables_lie_in_the_bundles_frames(
    code: Any, total: int, programs: int, entries: int, frames: int, magic: bool
) -> None:
    mark = int.from_bytes(image.MAGIC, "little") if magic else 17
    header = BundleHeader(magic=mark, total_bytes=total, program_count=programs, file_count=entries)
    tables = image.HEADER.size + programs * image.PROGRAM_BYTES + entries * image.FILE.size
    assert code.tables_bytes(header) == tables
    assert code.is_bundle(header, frames) == (magic and tables <= total <= frames * 4096)


@settings(deadline=None)
@given(words, words, words, words, st.integers(0, 4), words)
@example(0x400000, 4096, 100, 100, 1, 8192)
def test_a_segment_that_can_be_loaded(
    code: Any, virtual: int, offset: int, size: int, memory_size: int, flags: int, total: int
) -> None:
    segment = BundleSegment(virtual, offset, size, memory_size, flags)
    assert code.is_segment(segment, total) == can_be_loaded(virtual, offset, size, memory_size, flags, total)


@settings(deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40))
@example(b"name\0\0\0", b"name")
@example(b"name", b"name")
@example(b"names\0", b"name")
@example(b"\0", b"")
@example(b"name\0\0", b"name\0")
def test_a_name_is_all_of_it(code: Any, stored: bytes, name: bytes) -> None:
    expected = len(name) > 0 and not name.endswith(b"\0") and stored.startswith(name + b"\0")
    assert code.is_name(memory(stored), memory(name)) == expected


def read_struct(kind: Any, data: bytes, at: int) -> Any:
    """An object of the dialect with the bytes from `at` on."""
    values = {
        BundleSegment: lambda: BundleSegment(*struct.unpack_from("<5Q", data, at)),
        BundleHeader: lambda: BundleHeader(*struct.unpack_from("<2Q4I", data, at)),
    }
    if kind in values:
        return values[kind]()
    entry, count, _ = struct.unpack_from("<Q2I", data, at + 32)
    program = BundleProgram(entry=entry, segment_count=count)
    for i in range(4):
        program.segments[i].copy_from(read_struct(BundleSegment, data, at + 48 + 40 * i))
    return program


CODE = Segment(0x400000, 0x400000, PF_R | PF_X, b"\xc3" * 5000, 5000)
DATA = Segment(0x402000, 0x402000, PF_R | PF_W, b"abc", 9000)
GOOD = image.Bundle(
    (image.Program("one", 0x400010, (CODE, DATA)), image.Program("two", 0x400000, (CODE,))),
    (image.File("motd.txt", b"welcome"), image.File("empty", b""), image.File("table", bytes(9000))),
    1,
).to_bytes()


def test_a_good_bundle_is_believed(code: Any) -> None:
    header = read_struct(BundleHeader, GOOD, 0)
    assert code.is_bundle(header, len(GOOD) // 4096) and not code.is_bundle(header, len(GOOD) // 4096 - 1)
    for index in range(2):
        assert code.is_program(read_struct(BundleProgram, GOOD, 64 + 208 * index), len(GOOD))
    assert code.tables_bytes(header) == 64 + 2 * 208 + 3 * 128
    assert sizeof(files.File) == image.FILE.size and files.NAME_BYTES == image.FILE_NAME_BYTES


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 64 + 2 * 208 + 3 * 128 - 8), words), min_size=1, max_size=4))
def test_a_damaged_bundle_leads_nowhere(code: Any, damages: list[tuple[int, int]]) -> None:
    """Whatever is accepted of it lies within its frames."""
    raw = bytearray(GOOD)
    for at, value in damages:
        struct.pack_into("<Q", raw, at, value)
    data = bytes(raw)
    header = read_struct(BundleHeader, data, 0)
    if not code.is_bundle(header, len(data) // 4096):
        return
    total = header.total_bytes
    assert 64 + header.program_count * 208 + header.file_count * 128 <= total <= len(data)
    for index in range(header.program_count):
        program = read_struct(BundleProgram, data, 64 + 208 * index)
        segments = [struct.unpack_from("<5Q", data, 64 + 208 * index + 48 + 40 * i) for i in range(4)]
        expected = (
            program.segment_count <= 4
            and program.entry < abi.USER_LIMIT
            and all(can_be_loaded(*s, total) for s in segments[: program.segment_count])
        )
        assert code.is_program(program, total) == expected


def test_names_of_both_tables_are_compared(code: Any) -> None:
    name = Array[u8, 112](b"data/table.bin".ljust(112, b"\0"))
    assert code.is_name(name, memory(b"data/table.bin")) and not code.is_name(name, memory(b"data/table"))
    assert code.is_name(Array[u8, 32](b"x" * 31 + b"\0"), memory(b"x" * 31))
    assert not code.is_name(Array[u8, 32](b"x" * 32), memory(b"x" * 32))
