# SPDX-License-Identifier: MIT
"""Bootable images: the kernel's ELF file with the *bundle* of programs and files appended as one more segment.

The bundle lies on the page after the kernel's last, where the kernel finds it by its symbol `__image_end`, so neither
is linked again when the other changes. Layout: docs/decisions/0001-first-light.md, "The image". An image is a function
of its parts: nothing here reads a clock or the file system.
"""

import struct
from dataclasses import dataclass

from exokernel.metal.linker import (
    ELF_HEADER,
    PAGE,
    PF_R,
    PF_W,
    PF_X,
    PROGRAM_HEADER,
    PT_LOAD,
    LinkError,
    Segment,
    entry_point,
    segments,
    symbols,
)

MAGIC = b"EXOBUNDL"
HEADER = struct.Struct("<8sQIIII32x")
PROGRAM = struct.Struct("<32sQII")
SEGMENT = struct.Struct("<5Q")
FILE = struct.Struct("<112s2Q")
SEGMENTS_PER_PROGRAM = 4
PROGRAM_BYTES = PROGRAM.size + SEGMENTS_PER_PROGRAM * SEGMENT.size
NAME_BYTES = 32
ENVIRONMENTS = 64  # as in `aegis.abi`, which takes longer to import than a build that changes nothing
FILE_NAME_BYTES = 112

EXECUTE, WRITE = 1, 2  # rights in the bundle, other than reading, which all segments have


class ImageError(ValueError):
    """The parts do not make an image, or the bytes are not one."""


@dataclass(frozen=True)
class Program:
    """An application as the kernel loads it: what the bundle says of it. `flags` of a segment are the ELF file's."""

    name: str
    entry: int
    segments: tuple[Segment, ...]

    @classmethod
    def from_elf(cls, name: str, elf: bytes) -> "Program":
        """The loadable part of a linked application. Raises `ImageError`."""
        loaded = tuple(s for s in segments(elf) if s.memory_size)
        if len(loaded) > SEGMENTS_PER_PROGRAM:
            raise ImageError(f"{name}: {len(loaded)} segments, the bundle holds {SEGMENTS_PER_PROGRAM} each")
        return cls(name, entry_point(elf), loaded)


@dataclass(frozen=True)
class File:
    """A file of the bundle, by the name under which the guest finds it."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Bundle:
    """The programs and files of an image. The first `boot_count` programs (0: all) become environments 0, 1, ... at
    boot; `slice_ticks` 0 leaves the kernel's default.
    """

    programs: tuple[Program, ...]
    files: tuple[File, ...] = ()
    boot_count: int = 0
    slice_ticks: int = 0

    def to_bytes(self) -> bytes:
        """The bundle in memory, a whole number of pages. Raises `ImageError`."""
        programs, files = len(self.programs), len(self.files)
        output = bytearray(_round_up(HEADER.size + programs * PROGRAM_BYTES + files * FILE.size))
        for index, program in enumerate(self.programs):
            at = HEADER.size + index * PROGRAM_BYTES
            name = _name("program", program.name, NAME_BYTES)
            PROGRAM.pack_into(output, at, name, program.entry, len(program.segments), 0)
            for number, segment in enumerate(program.segments):
                offset = _append(output, segment.data)
                rights = (EXECUTE if segment.flags & PF_X else 0) | (WRITE if segment.flags & PF_W else 0)
                fields = segment.virtual, offset, len(segment.data), segment.memory_size, rights
                SEGMENT.pack_into(output, at + PROGRAM.size + number * SEGMENT.size, *fields)
        places: dict[bytes, int] = {}  # equal contents are there once
        for index, file in enumerate(self.files):
            at = HEADER.size + programs * PROGRAM_BYTES + index * FILE.size
            if file.data not in places:
                places[file.data] = _append(output, file.data)
            name = _name("file", file.name, FILE_NAME_BYTES)
            FILE.pack_into(output, at, name, places[file.data], len(file.data))
        boot_count = self.boot_count or programs
        HEADER.pack_into(output, 0, MAGIC, len(output), programs, files, self.slice_ticks, boot_count)
        return bytes(output)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Bundle":
        """Read a bundle back. Raises `ImageError`."""
        if len(data) < HEADER.size or data[:8] != MAGIC:
            raise ImageError("no bundle here")
        _, total, program_count, file_count, slice_ticks, boot_count = HEADER.unpack_from(data)
        files_at = HEADER.size + program_count * PROGRAM_BYTES
        if total > len(data) or files_at + file_count * FILE.size > total:
            raise ImageError("the bundle is cut short")

        def part(offset: int, size: int) -> bytes:
            if offset + size > total:
                raise ImageError("the bundle is cut short")
            return data[offset : offset + size]

        programs = []
        for at in range(HEADER.size, files_at, PROGRAM_BYTES):
            name, entry, segment_count, _ = PROGRAM.unpack_from(data, at)
            found = []
            for number in range(min(segment_count, SEGMENTS_PER_PROGRAM)):
                place = at + PROGRAM.size + number * SEGMENT.size
                virtual, offset, size, memory_size, rights = SEGMENT.unpack_from(data, place)
                elf_flags = PF_R | (PF_X if rights & EXECUTE else 0) | (PF_W if rights & WRITE else 0)
                found.append(Segment(virtual, virtual, elf_flags, part(offset, size), memory_size))
            programs.append(Program(name.rstrip(b"\0").decode(), entry, tuple(found)))
        files = []
        for index in range(file_count):
            name, offset, size = FILE.unpack_from(data, files_at + index * FILE.size)
            files.append(File(name.rstrip(b"\0").decode(), part(offset, size)))
        return cls(tuple(programs), tuple(files), boot_count % max(program_count, 1), slice_ticks)


def _name(kind: str, text: str, size: int) -> bytes:
    """A name as the bundle holds it, with a zero at its end at least."""
    name = text.encode()
    if not 0 < len(name) < size or b"\0" in name:
        raise ImageError(f"{text!r}: a {kind}'s name has 1 to {size - 1} bytes, none of them 0")
    return name


def _append(output: bytearray, data: bytes) -> int:
    """Put `data` at the end, on pages of its own; where it begins."""
    offset = len(output)
    output += data + bytes(-len(data) % PAGE)
    return offset


def assemble(kernel: bytes, bundle: Bundle) -> bytes:
    """The bootable ELF file: `kernel` with `bundle` on the page after its last one.

    Raises `ImageError` when the kernel does not define `__image_start` and `__image_end` or has no room for a header.
    """
    names = symbols(kernel)
    try:
        start, end = names["__image_start"], names["__image_end"]
    except KeyError as missing:
        raise ImageError(f"the kernel does not define {missing.args[0]}") from None
    home = next((s for s in segments(kernel) if s.virtual == start), None)
    if home is None:
        raise ImageError("the kernel has no segment at __image_start")
    data = bundle.to_bytes()
    output = bytearray(kernel)
    output += bytes(-len(output) % PAGE)
    physical = end - (home.virtual - home.physical)
    header = PROGRAM_HEADER.pack(PT_LOAD, PF_R, len(output), end, physical, len(data), len(data), PAGE)
    output += data

    # The linker leaves the file's first page to headers, so one more fits behind the kernel's own.
    fields = list(ELF_HEADER.unpack_from(output))
    place = fields[5] + fields[10] * PROGRAM_HEADER.size
    if place + PROGRAM_HEADER.size > PAGE or any(output[place : place + PROGRAM_HEADER.size]):
        raise ImageError("the kernel's file has no room for one more program header")
    output[place : place + PROGRAM_HEADER.size] = header
    fields[10] += 1
    ELF_HEADER.pack_into(output, 0, *fields)
    return bytes(output)


def read_bundle(image: bytes) -> Bundle:
    """The bundle of a bootable image. Raises `ImageError`."""
    try:
        end = symbols(image).get("__image_end")
        found = next((s for s in segments(image) if s.virtual == end), None)
    except LinkError as error:
        raise ImageError(str(error)) from None
    if found is None:
        raise ImageError("the kernel carries no bundle")
    return Bundle.from_bytes(found.data)


def _round_up(size: int) -> int:
    return -(-size // PAGE) * PAGE
