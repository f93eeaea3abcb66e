# SPDX-License-Identifier: MIT
"""The heap: memory for an application whose size is not known beforehand. `blocks` decides which part of the arena a
request gets; `vm` puts frames behind it, here when a page is first allocated, so that touching it cannot fail. Frames
stay with the heap for good. Out of memory is an answer (null), never an end; releasing what was not allocated is a
mistake of the program and traps.
"""

from exokernel.aegis import abi
from exokernel.exos import blocks, critical, vm
from exokernel.metal import Ptr, u8, u64

ARENA = 0x1000_0000  # far above the image; blocks.PAGES pages

books: blocks.Books = blocks.Books()


def allocate(size: u64) -> Ptr[u8]:
    """A block of at least `size` bytes, or null. Its contents are unspecified. It is aligned to its size, rounded up to
    a power of two, at most to 4096.
    """
    critical.enter()
    block = find(size)
    critical.leave()
    return block


def find(size: u64) -> Ptr[u8]:
    if not books.ready:
        blocks.prepare(books)
    offset = blocks.take(books, size)
    if offset == blocks.NOTHING:
        return Ptr[u8](0)
    first = offset // blocks.PAGE
    for number in range(first, (offset + size - 1) // blocks.PAGE + 1):
        if not books.pages[number].backed:
            if vm.fill(ARENA // abi.PAGE_BYTES + number, abi.Right.WRITE) != 0:
                blocks.give_back(books, offset)
                return Ptr[u8](0)
            books.pages[number].backed = 1
    return Ptr[u8](ARENA + offset)


def release(block: Ptr[u8]) -> None:
    """Give a block of `allocate` back; null is nothing to give back."""
    if block:
        critical.enter()
        assert blocks.give_back(books, u64(block) - ARENA), "released a block that is not allocated"
        critical.leave()


def usable(block: Ptr[u8]) -> u64:
    """How many bytes a block of `allocate` really has."""
    size = blocks.size_of(books, u64(block) - ARENA)
    assert size != 0, "not an allocated block"
    return size
