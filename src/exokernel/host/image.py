# SPDX-License-Identifier: MIT
"""Bootable images: the kernel's ELF file with the *bundle* of applications appended as one more segment.

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
HEADER = struct.Struct("<8sQIIII4Q")
PROGRAM = struct.Struct("<32sQII")
SEGMENT = struct.Struct("<5Q")
SEGMENTS_PER_PROGRAM = 4
PROGRAM_BYTES = PROGRAM.size + SEGMENTS_PER_PROGRAM * SEGMENT.size
NAME_BYTES = 32

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
class Bundle:
    """The applications of an image; the first becomes environment 0. `slice_ticks` 0 leaves the kernel's default."""

    programs: tuple[Program, ...]
    slice_ticks: int = 0
    flags: int = 0

    def to_bytes(self) -> bytes:
        """The bundle in memory, a whole number of pages. Raises `ImageError`."""
        output = bytearray(_round_up(HEADER.size + len(self.programs) * PROGRAM_BYTES))
        for index, program in enumerate(self.programs):
            name = program.name.encode()
            if not 0 < len(name) < NAME_BYTES:
                raise ImageError(f"{program.name!r}: a program's name has 1 to {NAME_BYTES - 1} bytes")
            at = HEADER.size + index * PROGRAM_BYTES
            PROGRAM.pack_into(output, at, name, program.entry, len(program.segments), 0)
            for number, segment in enumerate(program.segments):
                offset = len(output)
                output += segment.data + bytes(-len(segment.data) % PAGE)
                rights = (EXECUTE if segment.flags & PF_X else 0) | (WRITE if segment.flags & PF_W else 0)
                fields = segment.virtual, offset, len(segment.data), segment.memory_size, rights
                SEGMENT.pack_into(output, at + PROGRAM.size + number * SEGMENT.size, *fields)
        HEADER.pack_into(output, 0, MAGIC, len(output), len(self.programs), 0, self.slice_ticks, self.flags, 0, 0, 0, 0)
        return bytes(output)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Bundle":
        """Read a bundle back. Raises `ImageError`."""
        if len(data) < HEADER.size or data[:8] != MAGIC:
            raise ImageError("no bundle here")
        _, total, program_count, _, slice_ticks, flags, *_ = HEADER.unpack_from(data)
        if total > len(data) or HEADER.size + program_count * PROGRAM_BYTES > total:
            raise ImageError("the bundle is cut short")
        programs = []
        for index in range(program_count):
            at = HEADER.size + index * PROGRAM_BYTES
            name, entry, segment_count, _ = PROGRAM.unpack_from(data, at)
            found = []
            for number in range(min(segment_count, SEGMENTS_PER_PROGRAM)):
                place = at + PROGRAM.size + number * SEGMENT.size
                virtual, offset, size, memory_size, rights = SEGMENT.unpack_from(data, place)
                if offset + size > total:
                    raise ImageError("the bundle is cut short")
                elf_flags = PF_R | (PF_X if rights & EXECUTE else 0) | (PF_W if rights & WRITE else 0)
                found.append(Segment(virtual, virtual, elf_flags, data[offset : offset + size], memory_size))
            programs.append(Program(name.rstrip(b"\0").decode(), entry, tuple(found)))
        return cls(tuple(programs), slice_ticks, flags)


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
