# SPDX-License-Identifier: MIT
"""Physical memory: who owns each frame, what it is used as, and where it is mapped.

The frame table (`abi.FrameEntry`) has an entry for every frame of the machine and lies in frames reserved at boot;
everybody may read it. The frames of one owner (an environment, or FRAME_FREE) form a ring through their entries, oldest
first, closed by an entry of the owner's behind those of the frames, so that a frame changes its owner in a few steps
whatever the size of memory. Its contents are cleared when it is claimed. What is done to mappings and bindings on the
way is the business of `memory`; nothing here may follow one.
"""

from exokernel.aegis import information
from exokernel.aegis.abi import ENVIRONMENTS, FRAME_FREE, FRAME_KERNEL, NOWHERE, FrameEntry, FrameKind
from exokernel.machine import boot, paging
from exokernel.metal import Ptr, Span, inline, sizeof, u8, u16, u32, u64

OWNERS = ENVIRONMENTS + 1  # that have a ring: the kernel's frames are in none, and never released

table: Ptr[FrameEntry] = Ptr[FrameEntry](0)
count: u64 = 0
free_ring: u64 = 0  # where in the table the ring of the free frames is closed, in bytes


@inline
def entry(frame: u64) -> FrameEntry:
    """The table entry of a frame, or of an owner's ring at `count` + owner."""
    return table[frame]


def initialize(first_free: u64, reserved_from: u64) -> None:
    """Builds the table at frame `first_free`, and behind it the page tables that show it. The frames from
    `reserved_from` to their end stay the kernel's, as do the boot sections.
    """
    global table, count, free_ring
    count = boot.memory_end
    free_ring = (count + FRAME_FREE) * sizeof(FrameEntry)
    table = Ptr[FrameEntry](paging.direct(first_free * paging.PAGE))
    Span[u8](Ptr[u8](paging.direct(first_free * paging.PAGE)), table_frames() * paging.PAGE).fill(0)
    for frame in range(count):
        table[frame].owner = FRAME_KERNEL
        table[frame].page = NOWHERE
    for owner in range(OWNERS):
        ring = count + owner
        table[ring].next = u32(ring)
        table[ring].previous = u32(ring)
    for i in range(boot.memory_ranges):
        memory = boot.memory[i]
        free_range(max(memory.first, boot.SECTIONS_END // paging.PAGE), min(memory.end, reserved_from))
        free_range(max(memory.first, table_end(first_free)), memory.end)
    information.page.frames = boot.memory_frames
    paging.show_frame_table(first_free + table_frames(), node_frames(), first_free, table_frames())


def free_range(first: u64, end: u64) -> None:
    """Puts the frames [first, end), in no ring so far, at the end of the free ones."""
    if first >= end:
        return
    ring = count + FRAME_FREE
    for frame in range(first, end):
        table[frame].owner = FRAME_FREE
        table[frame].next = u32(frame + 1)
        table[frame].previous = u32(frame - 1)
    last = table[ring].previous
    table[last].next = u32(first)
    table[first].previous = last
    table[end - 1].next = u32(ring)
    table[ring].previous = u32(end - 1)
    information.page.frames_free += end - first


def table_frames() -> u64:
    """How many frames the table takes."""
    return ((boot.memory_end + OWNERS) * sizeof(FrameEntry) + paging.PAGE - 1) // paging.PAGE


def node_frames() -> u64:
    """How many page tables show it."""
    return (table_frames() + 511) // 512


def table_end(first_free: u64) -> u64:
    """The frame after the table and its page tables, if they are placed at frame `first_free`."""
    return first_free + table_frames() + node_frames()


def table_fits(first_free: u64) -> bool:
    """Whether the table, at frame `first_free`, ends in the same range of memory, where the boot's tables show it."""
    end = table_end(first_free)
    if end > paging.FRAMES_PER_GIGABYTE:
        return False
    for i in range(boot.memory_ranges):
        if boot.memory[i].first <= first_free and end <= boot.memory[i].end:
            return True
    return False


def move(frame: u64, owner: u64, kind: u16) -> None:
    """Makes a frame `owner`'s newest; old capabilities of it are stale from here on. Nothing may map or bind it."""
    moved = entry(frame)
    before = u64(moved.owner)
    if before == FRAME_FREE:
        information.page.frames_free -= 1
    elif before != FRAME_KERNEL:
        information.page.environments[before].frames -= 1
    following, previous = moved.next, moved.previous
    table[previous].next = following
    table[following].previous = previous
    moved.owner = u16(owner)
    moved.kind = kind
    moved.generation += 1
    moved.page = NOWHERE
    moved.flags = 0
    if owner == FRAME_KERNEL:
        return
    append(frame, owner)
    if owner == FRAME_FREE:
        information.page.frames_free += 1
    else:
        information.page.environments[owner].frames += 1


def oldest(owner: u64) -> u64:
    """The frame that has been `owner`'s for the longest time; 0 if it has none."""
    ring = count + owner
    frame = u64(table[ring].next)
    return frame if frame != ring else 0


def claim(owner: u64, kind: u16) -> u64:
    """Gives a free frame to an environment (or FRAME_KERNEL). Returns its number, 0 if none is free."""
    frame = oldest(FRAME_FREE)
    if frame != 0:
        claim_named(frame, owner, kind)
    return frame


def claim_named(frame: u64, owner: u64, kind: u16) -> None:
    """Gives one free frame to an environment: cleared, unless nobody but the kernel will see what is in it."""
    if kind == FrameKind.DATA:
        clear(frame)
    move(frame, owner, kind)


def clear(frame: u64) -> None:
    """Fills a frame with zeros."""
    Span[u8](Ptr[u8](paging.direct(frame * paging.PAGE)), paging.PAGE).fill(0)


@inline
def is_usable(frame: u64, owner: u64) -> bool:
    """Whether `frame` exists, belongs to `owner` and may be mapped by it."""
    return frame < count and entry(frame).owner == owner and entry(frame).kind == FrameKind.DATA


@inline
def is_public(frame: u64) -> bool:
    """Whether `frame` exists and everybody may map it, but not to write."""
    return frame < count and entry(frame).kind == FrameKind.PUBLIC


def is_idle(frame: u64, owner: u64) -> bool:
    """Whether `frame` is usable by its owner and nothing uses it: no mapping, no binding, no pin, no guarantee."""
    if not is_usable(frame, owner):
        return False
    found = entry(frame)
    return found.page == NOWHERE and found.bindings == 0 and found.pins == 0 and found.flags == 0


def can_become_table(frame: u64, owner: u64) -> bool:
    """Whether `owner` may make a table of `frame`."""
    spare = frame < count and entry(frame).owner == owner and entry(frame).kind == FrameKind.SPARE
    return spare or is_idle(frame, owner)


def rotate(frame: u64, owner: u64) -> None:
    """Makes a frame of `owner`'s its newest."""
    moved = entry(frame)
    table[moved.previous].next = moved.next
    table[moved.next].previous = moved.previous
    append(frame, owner)


def append(frame: u64, owner: u64) -> None:
    """Puts a frame that is in no ring at the end of an owner's."""
    ring = count + owner
    last = table[ring].previous
    appended = entry(frame)
    appended.next = u32(ring)
    appended.previous = last
    table[last].next = u32(frame)
    table[ring].previous = u32(frame)
