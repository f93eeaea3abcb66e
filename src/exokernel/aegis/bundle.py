# SPDX-License-Identifier: MIT
"""The bundle that the host appended to the kernel's image: programs, of which the first become environments at boot, and
files, which the kernel never looks at.

What a program only reads is mapped where it lies, read-only; what it may write is copied into frames of its own. All
frames of the bundle are public. Format: docs/decisions/0001-first-light.md.
"""

from exokernel.aegis import environment, frames, information
from exokernel.aegis.abi import *
from exokernel.machine import paging
from exokernel.metal import Ptr, Span, addr, inline, sizeof, u8, u64

first_frame: u64 = 0


@inline
def header() -> BundleHeader:
    return Ptr[BundleHeader](paging.direct(first_frame * paging.PAGE))[0]


@inline
def program(number: u64) -> BundleProgram:
    return (Ptr[BundleProgram](u64(addr(header())) + sizeof(BundleHeader)) + number)[0]


def open_at(frame: u64) -> bool:
    """Whether the bundle begins at `frame`."""
    global first_frame
    first_frame = frame
    return header().magic == BUNDLE_MAGIC


def end_frame() -> u64:
    """The frame after the bundle."""
    return first_frame + (header().total_bytes + paging.PAGE - 1) // paging.PAGE


def publish() -> None:
    """Lets everybody map the bundle's frames."""
    for frame in range(first_frame, end_frame()):
        frames.entry(frame).kind = FrameKind.PUBLIC
    information.page.bundle_frame = first_frame
    information.page.bundle_frames = end_frame() - first_frame


def load(number: u64) -> bool:
    """Makes program `number` the environment of that number. False if memory is short or the program not well-formed."""
    source = program(number)
    if source.segment_count > len(source.segments) or source.entry >= USER_LIMIT:
        return False
    if not environment.create(number, source.name, source.entry):
        return False
    for i in range(source.segment_count):
        if not load_segment(number, source.segments[i]):
            return False
    return True


def load_segment(identifier: u64, segment: BundleSegment) -> bool:
    """Maps one segment, page by page."""
    total = header().total_bytes
    if segment.offset > total or segment.file_bytes > total - segment.offset or segment.offset % paging.PAGE != 0:
        return False
    if segment.virtual < IMAGE_ADDRESS or segment.virtual > USER_LIMIT or segment.virtual % paging.PAGE != 0:
        return False
    if segment.memory_bytes > USER_LIMIT - segment.virtual or segment.file_bytes > segment.memory_bytes:
        return False
    for done in range(0, segment.memory_bytes, paging.PAGE):
        virtual = segment.virtual + done
        left = segment.file_bytes - min(done, segment.file_bytes)
        source = first_frame + (segment.offset + done) // paging.PAGE
        if segment.flags & MAY_WRITE or left == 0:
            frame = environment.map_new(identifier, virtual, environment.READ_WRITE)
            if frame == 0:
                return False
            size = min(left, paging.PAGE)
            Span[u8](Ptr[u8](paging.direct(frame * paging.PAGE)), size).copy_from(
                Span[u8](Ptr[u8](paging.direct(source * paging.PAGE)), size)
            )
        else:
            rights = environment.EXECUTE if segment.flags & MAY_EXECUTE else environment.READ_ONLY
            if not environment.map_page(identifier, virtual, source, rights):
                return False
    return True
