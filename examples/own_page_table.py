# SPDX-License-Identifier: MIT
"""One's own page table: the vector of 1995, in which the first ExOS looked pages up by binary search (SOSP 1995, 6.2).

    ./exo run examples/own_page_table.py

`vm` keeps 32 bits about each page in whatever module `vm.table` names while the image is built: eight functions, below.
A page that was never touched costs nothing here, a lookup some ten steps, and putting a page in the middle moves those
behind it: that is why there are others. `./exo bench vm` compares the two that come with the library.
"""

import sys

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import vm
from exokernel.metal import Array, Ptr, struct, u32, u64, volatile_load, volatile_store

LONGEST = 4096  # pages that can have entries
FIRST = 0x20000000 // abi.PAGE_BYTES
PAGES = 0x10000  # 256 MiB of memory on demand
NOTHING = vm.NOTHING


@struct
class Pair:
    page: u32
    entry: u32


pairs: Array[Pair, LONGEST] = Array[Pair, LONGEST]()  # in the order of their pages
length: u64 = 0
steps: u64 = 0


def place_of(page: u64) -> u64:
    """Where a page is, or would be: the first place whose page is not before it."""
    global steps
    low: u64 = 0
    high = length
    while low < high:
        steps += 1
        middle = (low + high) // 2
        if pairs[middle].page < page:
            low = middle + 1
        else:
            high = middle
    return low


def is_at(place: u64, page: u64) -> bool:
    return place < length and pairs[place].page == page


# ---- what `vm` asks for

MEMORY, MEMORY_PAGES = 0, 0  # where `missing` wants memory: nowhere


def missing(page: u64) -> u64:
    """The vector is part of the program, so it never lacks memory; it can only be full."""
    return NOTHING if length == LONGEST and get(page) == 0 else u64(0)


def get(page: u64) -> u32:
    place = place_of(page)
    return pairs[place].entry if is_at(place, page) else u32(0)


def put(page: u64, entry: u32) -> None:
    global length
    place = place_of(page)
    if not is_at(place, page):
        for i in range(length - place):
            pairs[length - i].copy_from(pairs[length - i - 1])
        length += 1
        pairs[place].page = u32(page)
    pairs[place].entry = entry


def remove(page: u64) -> None:
    global length
    place = place_of(page)
    if is_at(place, page):
        length -= 1
        for i in range(place, length):
            pairs[i].copy_from(pairs[i + 1])


def uniform(page: u64, count: u64, mask: u32, wanted: u32) -> bool:
    place = place_of(page)
    for i in range(count):
        if not is_at(place + i, page + i) or pairs[place + i].entry & mask != wanted:
            return False
    return True


def alike(page: u64, end: u64, mask: u32) -> u64:
    """How many entries from that of `page` on are there and the same, looked at through `mask`."""
    place = place_of(page)
    count: u64 = 1
    while page + count < end and is_at(place + count, page + count):
        if (pairs[place + count].entry ^ pairs[place].entry) & mask != 0:
            break
        count += 1
    return count


def change(page: u64, count: u64, keep: u32, bits: u32) -> None:
    place = place_of(page)
    for i in range(place, place + count):
        pairs[i].entry = pairs[i].entry & keep | bits


def next(page: u64, end: u64) -> u64:
    place = place_of(page)
    return u64(pairs[place].page) if place < length and pairs[place].page < end else NOTHING


vm.table = sys.modules[__name__]  # while the image is built


# ---- what uses it


def main() -> u64:
    memory = Ptr[u64](FIRST * abi.PAGE_BYTES)
    vm.reserve(FIRST, PAGES, Right.WRITE, vm.Flag.DEMAND, vm.refuse)
    known = length
    touched: u64 = 0
    for i in range(1000):
        page = i * 7919 % PAGES  # here and there
        volatile_store(memory + page * 512, page)
        touched += 1
    wrong: u64 = 0
    for i in range(1000):
        page = i * 7919 % PAGES
        wrong += u64(volatile_load(memory + page * 512) != page or not vm.is_dirty(FIRST + page))
    print(f"{touched} pages touched, {length - known} new entries, {wrong} wrong")
    before = steps
    get(FIRST + 1)
    print(f"a lookup among {length} entries takes {steps - before} steps")
    vm.release(FIRST)
    print(f"after the region's end: {length - known} entries left")
    return wrong
