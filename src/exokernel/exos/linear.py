# SPDX-License-Identifier: MIT
"""A page table that is an array: entry n describes page n of the application. It is the one that `vm` uses unless an
application imports `inverted`; both offer the same functions, and neither knows what an entry means, only that 0 is
none.

The array has a fixed place in the address space, of which only the parts that hold entries have memory behind them;
the kernel's exported table says which. Nothing here enters the kernel: `missing` names the page that must get memory
before an entry can be put.
"""

from exokernel.aegis import abi
from exokernel.metal import Ptr, inline, u32, u64

MEMORY = 0x21_0000  # of the table, where every environment has a table node
MEMORY_PAGES = 256  # that it may have
NOTHING = 0xFFFF_FFFF_FFFF_FFFF  # next: there is none
PER_PAGE = abi.PAGE_BYTES // 4
BIAS = PER_PAGE // 2  # so that the first stack and the image share a page of the table
ENTRIES = MEMORY + BIAS * 4


@inline
def missing(page: u64) -> u64:
    """The page that must get memory (zeroed) before `put` can be used for `page`; 0 if none must."""
    place = MEMORY // abi.PAGE_BYTES + (page + BIAS) // PER_PAGE
    return 0 if is_backed(place) else place


@inline
def is_backed(page: u64) -> bool:
    """Whether the kernel has mapped a page of the table's own. That changes by calls only, so this may be one access."""
    return Ptr[abi.TableEntry](abi.ENTRIES_ADDRESS)[page].present


@inline
def get(page: u64) -> u32:
    """The entry of a page below USER_LIMIT."""
    return 0 if missing(page) else Ptr[u32](ENTRIES)[page]


@inline
def put(page: u64, entry: u32) -> None:
    """Change an entry, where nothing is missing."""
    Ptr[u32](ENTRIES)[page] = entry


@inline
def remove(page: u64) -> None:
    """Forget an entry that is there."""
    put(page, 0)


def uniform(page: u64, count: u64, mask: u32, wanted: u32) -> bool:
    """Whether all of at most BATCH entries, looked at through `mask`, are `wanted`."""
    if missing(page) or missing(page + count - 1):
        return False
    return uniform_in(Ptr[u32](ENTRIES) + page, count, mask, wanted)


def alike(page: u64, end: u64, mask: u32) -> u64:
    """How many entries from `page` on, which has one, are the same through `mask`: at least some of those before `end`."""
    end = min(end, ((page + BIAS) // PER_PAGE + 1) * PER_PAGE - BIAS)
    return alike_in(Ptr[u32](ENTRIES) + page, end - page, mask)


def change(page: u64, count: u64, keep: u32, bits: u32) -> None:
    """Of entries that are there keep the bits of `keep`, and set `bits`."""
    change_in(Ptr[u32](ENTRIES) + page, count, keep, bits)


def next(page: u64, end: u64) -> u64:
    """The first page in [page, end) that has an entry, or NOTHING."""
    while page < end:
        part = ((page + BIAS) // PER_PAGE + 1) * PER_PAGE - BIAS
        if not missing(page):
            found = next_in(Ptr[u32](ENTRIES), page, min(part, end))
            if found != NOTHING:
                return found
        page = part
        backed = Ptr[u64](abi.ENTRIES_ADDRESS) + MEMORY // abi.PAGE_BYTES + (page + BIAS) // PER_PAGE
        while page + 4 * PER_PAGE <= end and backed[0] | backed[1] | backed[2] | backed[3] == 0:
            page += 4 * PER_PAGE
            backed += 4
    return NOTHING


# What follows works on an array anywhere, two entries at a time where it can.


def uniform_in(entries: Ptr[u32], count: u64, mask: u32, wanted: u32) -> bool:
    pair = u64(wanted) << 32 | wanted
    different: u64 = 0
    for i in range(count // 2):
        different |= Ptr[u64](entries)[i] ^ pair
    if count % 2:
        different |= entries[count - 1] ^ wanted
    return different & (u64(mask) << 32 | mask) == 0


def alike_in(entries: Ptr[u32], count: u64, mask: u32) -> u64:
    """How many, from the first one on, which is one, are the same through `mask`."""
    first = entries[0]
    pair, pairs = u64(first) << 32 | first, u64(mask) << 32 | mask
    same: u64 = 1
    while first & mask != 0 and same + 4 <= count:  # none is different from that
        some = Ptr[u64](entries + same)
        if (some[0] ^ pair | some[1] ^ pair) & pairs != 0:
            break
        same += 4
    while same < count and entries[same] != 0 and (entries[same] ^ first) & mask == 0:
        same += 1
    return same


def change_in(entries: Ptr[u32], count: u64, keep: u32, bits: u32) -> None:
    kept, set = u64(keep) << 32 | keep, u64(bits) << 32 | bits
    for i in range(count // 2):
        Ptr[u64](entries)[i] = Ptr[u64](entries)[i] & kept | set
    if count % 2:
        entries[count - 1] = entries[count - 1] & keep | bits


def next_in(entries: Ptr[u32], page: u64, end: u64) -> u64:
    while page < end:
        if page % 8 == 0:
            while page + 8 <= end and are_none(Ptr[u64](entries + page)):
                page += 8
            if page >= end:
                break
        if entries[page]:
            return page
        page += 1
    return NOTHING


@inline
def are_none(eight: Ptr[u64]) -> bool:
    """Whether eight entries are 0."""
    return eight[0] | eight[1] | eight[2] | eight[3] == 0
