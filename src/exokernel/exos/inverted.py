# SPDX-License-Identifier: MIT
"""A page table hashed by page: its size follows what is mapped, not the address space. `from exokernel.exos import
inverted` at the top of an application puts it in the place of `linear`, whose functions it offers.

Open addressing with linear probing; a place holds page and entry, 0 is free. It is never more than half full: when it
would be, a table of twice the size is filled beside it. Nothing here enters the kernel. How many entries each 512 pages
have is counted, so that looking for the next one passes over what is empty.
"""

import sys

from exokernel.aegis import abi
from exokernel.exos import vm
from exokernel.exos.linear import NOTHING, is_backed
from exokernel.metal import Array, Ptr, inline, struct, u16, u32, u64

MEMORY = 0x1FC0_0000
FIRST_SHIFT = 64 - 9  # one page: 512 places
LAST_SHIFT = 64 - 17  # 131072 places, 1 MiB: 256 MiB of mapped pages
HALF = 1 << 20  # bytes between the two places of the table
MEMORY_PAGES = 1 + 2 * HALF // abi.PAGE_BYTES  # that it may have
GOLDEN = 0x9E37_79B9_7F4A_7C15  # 2 ** 64 / golden ratio: neighbours are scattered evenly (Knuth, volume 3, 6.4)
BLOCK = 512


@struct
class Header:
    """At MEMORY; behind it lies the table, at one of two places."""

    shift: u64  # 64 less the logarithm of the number of places; 0: not ready
    used: u64
    second: u64  # 1 when the table is at the second place
    counts: Array[u16, abi.USER_LIMIT // abi.PAGE_BYTES // BLOCK]


@inline
def header() -> Header:
    return Ptr[Header](MEMORY)[0]


@inline
def table() -> Ptr[u64]:
    return table_at(header().second)


@inline
def table_at(second: u64) -> Ptr[u64]:
    return Ptr[u64](MEMORY + abi.PAGE_BYTES + second * HALF)


def missing(page: u64) -> u64:
    """The page that must get memory (zeroed) before `put` can be used; 0 if none must; NOTHING when the table is full."""
    if not is_backed(MEMORY // abi.PAGE_BYTES):
        return MEMORY // abi.PAGE_BYTES
    if header().shift != 0 and header().used < half_of(header().shift):
        return 0
    shift: u64 = FIRST_SHIFT if header().shift == 0 else header().shift - 1
    if shift < LAST_SHIFT:
        return NOTHING
    target = header().second ^ 1
    first = u64(table_at(target)) // abi.PAGE_BYTES
    for place in range(first, first + (half_of(shift) * 16 // abi.PAGE_BYTES)):
        if not is_backed(place):
            return place
    for i in range(half_of(shift) * 2):
        table_at(target)[i] = 0
    if header().shift != 0:
        copy_to(table(), header().shift, table_at(target), shift)
    header().second = target
    header().shift = shift
    return 0


@inline
def half_of(shift: u64) -> u64:
    """Half the places of a table."""
    return u64(1) << (63 - shift)


def get(page: u64) -> u32:
    """The entry of a page below USER_LIMIT."""
    if not is_backed(MEMORY // abi.PAGE_BYTES) or header().shift == 0:
        return 0
    return u32(table()[place_of(table(), header().shift, page)])


def put(page: u64, entry: u32) -> None:
    """Change an entry, where nothing is missing."""
    place = place_of(table(), header().shift, page)
    if table()[place] == 0:
        header().used += 1
        header().counts[page // BLOCK] += 1
    table()[place] = page << 32 | entry


def remove(page: u64) -> None:
    """Forget an entry that is there."""
    header().used -= 1
    header().counts[page // BLOCK] -= 1
    erase_in(table(), header().shift, page)


def uniform(page: u64, count: u64, mask: u32, wanted: u32) -> bool:
    """Whether all of at most BATCH entries, looked at through `mask`, are `wanted`."""
    for i in range(page, page + count):
        if get(i) & mask != wanted:
            return False
    return True


def alike(page: u64, end: u64, mask: u32) -> u64:
    """How many entries from `page` on, which has one, up to `end`, are the same through `mask`."""
    first, entry, count = get(page), get(page), u64(0)
    while entry != 0 and (entry ^ first) & mask == 0:
        count += 1
        entry = get(page + count) if page + count < end else u32(0)
    return count


def change(page: u64, count: u64, keep: u32, bits: u32) -> None:
    """Of entries that are there keep the bits of `keep`, and set `bits`."""
    for i in range(page, page + count):
        place = place_of(table(), header().shift, i)
        table()[place] = table()[place] & (0xFFFF_FFFF_0000_0000 | u64(keep)) | bits


def next(page: u64, end: u64) -> u64:
    """The first page in [page, end) that has an entry, or NOTHING."""
    if not is_backed(MEMORY // abi.PAGE_BYTES):
        return NOTHING
    while page < end:
        if header().counts[page // BLOCK] == 0:
            page = (page // BLOCK + 1) * BLOCK
        elif get(page):
            return page
        else:
            page += 1
    return NOTHING


# What follows works on a table anywhere.


@inline
def home(page: u64, shift: u64) -> u64:
    return (page * GOLDEN) >> shift


@inline
def place_of(places: Ptr[u64], shift: u64, page: u64) -> u64:
    """Where a page's entry is, or would be put: there is always a free place."""
    place = home(page, shift)
    while places[place] != 0 and places[place] >> 32 != page:
        place = (place + 1) & (half_of(shift) * 2 - 1)
    return place


def erase_in(places: Ptr[u64], shift: u64, page: u64) -> None:
    """Free the place of a page, and close the gap (Knuth, volume 3, 6.4, algorithm R)."""
    mask = half_of(shift) * 2 - 1
    gap = place_of(places, shift, page)
    places[gap] = 0
    place = (gap + 1) & mask
    while places[place] != 0:
        start = home(places[place] >> 32, shift)
        if (place - start) & mask >= (place - gap) & mask:  # its home is not behind the gap
            places[gap] = places[place]
            places[place] = 0
            gap = place
        place = (place + 1) & mask


def copy_to(places: Ptr[u64], shift: u64, target: Ptr[u64], target_shift: u64) -> None:
    """Put all entries into a larger table, which is empty."""
    for i in range(half_of(shift) * 2):
        if places[i] != 0:
            target[place_of(target, target_shift, places[i] >> 32)] = places[i]


setattr(vm, "table", sys.modules[__name__])
