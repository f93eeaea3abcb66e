# SPDX-License-Identifier: MIT
"""Physical memory: who owns each frame, what it is used as, and how often it is mapped.

The frame table has an entry for every frame of the machine and lies in frames reserved at boot. The frames of one
owner (an environment, or FREE) form a ring through their entries, closed by an entry of the owner's behind those of
the frames, so that claiming and releasing take a few steps whatever the size of memory. A frame's contents are cleared
when it is claimed.
"""

from exokernel.aegis import information
from exokernel.aegis.abi import ENVIRONMENTS, Error
from exokernel.machine import boot, paging
from exokernel.metal import Ptr, Span, i64, inline, sizeof, struct, u8, u16, u32, u64

FREE = ENVIRONMENTS
KERNEL = ENVIRONMENTS + 1  # in no ring, never released
OWNERS = ENVIRONMENTS + 1

DATA = 1  # the owner may map it
NODE = 2  # a page table, or another page that only the kernel writes


@struct
class Frame:
    next: u32
    previous: u32
    mappings: u32  # table entries that lead here and bindings that use it; not counted for the kernel's own frames
    owner: u16
    kind: u16


table: Ptr[Frame] = Ptr[Frame](0)
count: u64 = 0


@inline
def entry(frame: u64) -> Frame:
    """The table entry of a frame, or of an owner's ring at `count` + owner."""
    return table[frame]


def initialize(first_free: u64, reserved_from: u64) -> None:
    """Builds the table at frame `first_free`. The frames from `reserved_from` to the table's end stay the kernel's, as
    do the boot sections.
    """
    global table, count
    count = boot.memory_end
    table = Ptr[Frame](paging.direct(first_free * paging.PAGE))
    for frame in range(count):
        table[frame].owner = KERNEL
        table[frame].kind = 0
        table[frame].mappings = 0
    for owner in range(OWNERS):
        ring = count + owner
        table[ring].next = u32(ring)
        table[ring].previous = u32(ring)
    for i in range(boot.memory_ranges):
        memory = boot.memory[i]
        free_range(max(memory.first, boot.SECTIONS_END // paging.PAGE), min(memory.end, reserved_from))
        free_range(max(memory.first, table_end(first_free)), memory.end)
    information.page.frames = boot.memory_frames


def free_range(first: u64, end: u64) -> None:
    """Puts the frames [first, end), in no ring so far, at the end of the free ones."""
    if first >= end:
        return
    ring = count + FREE
    for frame in range(first, end):
        table[frame].owner = FREE
        table[frame].next = u32(frame + 1)
        table[frame].previous = u32(frame - 1)
    last = table[ring].previous
    table[last].next = u32(first)
    table[first].previous = last
    table[end - 1].next = u32(ring)
    table[ring].previous = u32(end - 1)
    information.page.frames_free += end - first


def table_end(first_free: u64) -> u64:
    """The frame after the table, if it is placed at frame `first_free`."""
    return first_free + ((boot.memory_end + OWNERS) * sizeof(Frame) + paging.PAGE - 1) // paging.PAGE


def table_fits(first_free: u64) -> bool:
    """Whether the table, at frame `first_free`, ends in the same range of memory, where the boot's tables show it."""
    end = table_end(first_free)
    if end > paging.FRAMES_PER_GIGABYTE:
        return False
    for i in range(boot.memory_ranges):
        if boot.memory[i].first <= first_free and end <= boot.memory[i].end:
            return True
    return False


def append(frame: u64, owner: u64) -> None:
    """Puts a frame that is in no ring at the end of `owner`'s."""
    ring = count + owner
    last = table[ring].previous
    moved = entry(frame)
    moved.owner = u16(owner)
    moved.next = u32(ring)
    moved.previous = last
    table[last].next = u32(frame)
    table[ring].previous = u32(frame)


def claim(owner: u64, kind: u16) -> u64:
    """Gives a free frame, cleared, to an environment (or KERNEL). Returns its number, 0 if none is free."""
    ring = count + FREE
    frame = u64(table[ring].next)
    if frame == ring:
        return 0
    taken = entry(frame)
    table[ring].next = taken.next
    table[taken.next].previous = u32(ring)
    taken.kind = kind
    taken.mappings = 0
    Span[u8](Ptr[u8](paging.direct(frame * paging.PAGE)), paging.PAGE).fill(0)
    information.page.frames_free -= 1
    if owner == KERNEL:
        taken.owner = KERNEL
    else:
        append(frame, owner)
        information.page.environments[owner].frames += 1
    return frame


def release_all(owner: u64) -> None:
    """Frees every frame of an environment. Nothing may map or use them any more."""
    ring = count + owner
    frame = u64(table[ring].next)
    while frame != ring:
        following = u64(entry(frame).next)
        entry(frame).kind = 0
        entry(frame).mappings = 0
        append(frame, FREE)
        information.page.frames_free += 1
        frame = following
    table[ring].next = u32(ring)
    table[ring].previous = u32(ring)
    information.page.environments[owner].frames = 0


@inline
def note_mapping(frame: u64) -> None:
    """A table entry or a binding now leads to `frame`."""
    if entry(frame).owner != KERNEL:
        entry(frame).mappings += 1


@inline
def forget_mapping(frame: u64) -> None:
    """Undoes `note_mapping`."""
    if entry(frame).owner != KERNEL:
        entry(frame).mappings -= 1


@inline
def is_usable(frame: u64, owner: u64) -> bool:
    """Whether `frame` exists, belongs to `owner` and may be mapped by it."""
    return frame < count and entry(frame).owner == owner and entry(frame).kind == DATA


def claim_for(owner: u64) -> i64:
    """`frame_claim`."""
    frame = claim(owner, DATA)
    return i64(frame) if frame != 0 else i64(Error.NO_FRAMES)
