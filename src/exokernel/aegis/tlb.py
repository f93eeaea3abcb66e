# SPDX-License-Identifier: MIT
"""The translation cache: mappings that an application inserts, of frames that it owns, through table nodes that it
donated.

Both calls work on the current address space only, through the window that shows its table nodes at a fixed address.
The application chooses page, frame and rights; the kernel composes the entry, so no entry ever maps what its inserter
does not own, nor is writable and executable.
"""

from exokernel.aegis import environment, frames
from exokernel.aegis.abi import USER_LIMIT, Error, Right
from exokernel.machine import cpu, paging
from exokernel.machine.paging import PageTable, PageTableEntry
from exokernel.metal import Ptr, Span, i64, inline, u8, u64

PAGES = USER_LIMIT // paging.PAGE


@inline
def directory() -> PageTable:
    """The current address space's table of table nodes."""
    return Ptr[PageTable](environment.DIRECTORY)[0]


@inline
def entry_of(virtual_page: u64) -> Ptr[PageTableEntry]:
    """The entry that maps a page of the current environment, whose table node must exist; `virtual_page` < PAGES."""
    return Ptr[PageTableEntry](paging.WINDOW) + virtual_page


def is_writable(virtual_page: u64) -> bool:
    """Whether the current environment may write to a page; `virtual_page` < PAGES."""
    if not directory()[virtual_page >> 9].present:
        return False
    entry = entry_of(virtual_page)[0]
    return entry.present and entry.writable


def insert(virtual_page: u64, frame: u64, rights: u64, fourth: u64) -> i64:
    """The call `tlb_insert`."""
    if virtual_page >= PAGES or rights > Right.READ + Right.EXECUTE:
        return Error.BAD_ARGUMENT
    if not directory()[virtual_page >> 9].present:
        return Error.NO_NODE
    entry = PageTableEntry()
    if rights != Right.NONE:
        if not frames.is_usable(frame, environment.current().identifier):
            return Error.NOT_OWNER
        entry = PageTableEntry(
            present=True,
            user=True,
            writable=rights & Right.WRITE != 0,
            frame=frame,
            no_execute=rights & Right.EXECUTE == 0,
        )
        frames.note_mapping(frame)
    place = entry_of(virtual_page)
    if place[0].present:
        frames.forget_mapping(place[0].frame)
    place[0] = entry
    cpu.forget_translation(virtual_page * paging.PAGE)
    return 0


def node(virtual_page: u64, frame: u64, third: u64, fourth: u64) -> i64:
    """The call `tlb_node`."""
    if virtual_page >= PAGES:
        return Error.BAD_ARGUMENT
    if not frames.is_usable(frame, environment.current().identifier) or frames.entry(frame).mappings != 0:
        return Error.NOT_OWNER
    if directory()[virtual_page >> 9].present:
        return 0
    frames.entry(frame).kind = frames.NODE
    Span[u8](Ptr[u8](paging.direct(frame * paging.PAGE)), paging.PAGE).fill(0)
    directory()[virtual_page >> 9] = PageTableEntry(present=True, writable=True, user=True, frame=frame)
    return 0
