# SPDX-License-Identifier: MIT
"""The heap: memory for an application whose size is not known beforehand. `blocks` decides which part of the arena a
request gets; here frames of the kernel are put behind it, when a page is first used. Frames stay with the heap for
good. Out of memory is an answer (null), never an end; releasing what was not allocated is a mistake of the program and
traps.
"""

from exokernel.aegis import abi
from exokernel.exos import aegis, blocks, critical
from exokernel.metal import Ptr, i64, u8, u64

ARENA = 0x1000_0000  # far above the image; blocks.PAGES pages

books: blocks.Books = blocks.Books()
spare: i64 = -1  # a claimed frame that found no use yet


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
            if not back(number):
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


def back(number: u64) -> bool:
    """Put a frame behind the arena's page `number`, and a table node where there is none yet; False without frames."""
    global spare
    page = ARENA // abi.PAGE_BYTES + number
    frame = claim()
    if frame < 0:
        return False
    result = aegis.tlb_insert(page, u64(frame), abi.Right.WRITE)
    if result == abi.Error.NO_NODE:
        node = claim()
        if node < 0:
            spare = frame
            return False
        aegis.tlb_node(page, u64(node))
        result = aegis.tlb_insert(page, u64(frame), abi.Right.WRITE)
    assert result == 0, "the kernel refused a mapping of our own frame"
    return True


def claim() -> i64:
    """A frame: the spare one, else a new one; negative if there is none."""
    global spare
    frame = spare
    spare = -1
    return frame if frame >= 0 else aegis.frame_claim(abi.ANY)
