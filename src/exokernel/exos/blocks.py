# SPDX-License-Identifier: MIT
"""The heap's book-keeping, apart from the memory it describes: which page of an arena holds what, and which pieces of a
page are taken. Requests up to half a page share a page with others of their size (32 bytes to 2 KiB, powers of two);
larger ones take whole pages side by side. Pure, and no byte of the arena itself is ever read or written, so a program
that overruns its blocks cannot damage these books. Work is bounded by PAGES.

A piece is named by its offset in the arena. `give_back` says no to whatever `take` did not hand out: a double free, an
address inside a block, a page never used.
"""

from exokernel.metal import Array, count_leading_zeros, count_trailing_zeros, struct, u8, u16, u64

PAGE = 4096
PAGES = 2048
NOTHING = 0xFFFF_FFFF_FFFF_FFFF  # take: no room
SMALLEST_SHIFT = 5
CLASSES = 7  # 32, 64, ... 2048
END = 0xFFFF  # of a list of pages

# What a page is. 0 to CLASSES - 1: pieces of that class.
FREE = 0xFF
FIRST = 0xFE  # the first page of a large block
REST = 0xFD  # its others


@struct
class Page:
    kind: u8
    backed: u8  # has memory behind it, and keeps it
    taken: u16  # pieces in use; for FIRST the number of pages
    previous: u16  # in the list of pages of this class that have room
    next: u16
    pieces: Array[u64, 2]  # one bit each, set when in use


@struct
class Books:
    """Zeroed is empty but not ready: `prepare` first."""

    ready: bool
    rooms: Array[u16, CLASSES]  # a page of the class with room, or END
    pages: Array[Page, PAGES]


def prepare(books: Books) -> None:
    books.ready = True
    books.rooms.fill(END)
    for page in books.pages:
        page.kind = FREE


def class_of(size: u64) -> u64:
    """The class for a request of 1 to 2048 bytes."""
    if size <= 1 << SMALLEST_SHIFT:
        return 0
    return 64 - SMALLEST_SHIFT - u64(count_leading_zeros(size - 1))


def take(books: Books, size: u64) -> u64:
    """The offset of a block of at least `size` bytes (none for 0), aligned to its class or to a page; or NOTHING."""
    if size == 0 or size > PAGES * PAGE:
        return NOTHING
    if size > PAGE // 2:
        return take_pages(books, (size + PAGE - 1) // PAGE)
    kind = class_of(size)
    if books.rooms[kind] == END:
        offset = take_pages(books, 1)
        if offset == NOTHING:
            return NOTHING
        fresh = books.pages[offset // PAGE]
        fresh.kind = u8(kind)
        fresh.taken = 0
        fresh.pieces.fill(0)
        link(books, u16(offset // PAGE))
    number = books.rooms[kind]
    page = books.pages[number]
    half = u64(0) if page.pieces[0] != full_half(kind) else 1
    bit = u64(count_trailing_zeros(page.pieces[half] ^ 0xFFFF_FFFF_FFFF_FFFF))
    page.pieces[half] |= u64(1) << bit
    page.taken += 1
    if page.taken == pieces_of(kind):
        unlink(books, number)
    return u64(number) * PAGE + ((half * 64 + bit) << (kind + SMALLEST_SHIFT))


def give_back(books: Books, offset: u64) -> bool:
    """Free the block at `offset`; False, and nothing changed, if no block begins there."""
    if size_of(books, offset) == 0:
        return False
    number = u16(offset // PAGE)
    page = books.pages[number]
    if page.kind == FIRST:
        for i in range(number, number + page.taken):
            books.pages[i].kind = FREE
        return True
    piece = (offset % PAGE) >> (u64(page.kind) + SMALLEST_SHIFT)
    page.pieces[piece >> 6] ^= u64(1) << (piece & 63)
    if page.taken == pieces_of(page.kind):
        link(books, number)
    page.taken -= 1
    if page.taken == 0:
        unlink(books, number)
        page.kind = FREE
    return True


def size_of(books: Books, offset: u64) -> u64:
    """Usable bytes of the block that begins at `offset`; 0 if none does."""
    if offset >= PAGES * PAGE or not books.ready:
        return 0
    page = books.pages[offset // PAGE]
    if page.kind == FIRST and offset % PAGE == 0:
        return u64(page.taken) * PAGE
    if page.kind >= CLASSES:
        return 0
    shift = u64(page.kind) + SMALLEST_SHIFT
    piece = (offset % PAGE) >> shift
    if piece << shift != offset % PAGE or page.pieces[piece >> 6] & (u64(1) << (piece & 63)) == 0:
        return 0
    return u64(1) << shift


def pieces_of(kind: u64) -> u64:
    """How many pieces of the class a page holds."""
    return u64(PAGE >> SMALLEST_SHIFT) >> kind


def full_half(kind: u64) -> u64:
    """The first word of `pieces` when all its pieces are in use."""
    count = pieces_of(kind)
    return 0xFFFF_FFFF_FFFF_FFFF if count >= 64 else (u64(1) << count) - 1


def take_pages(books: Books, count: u64) -> u64:
    """The offset of the first `count` free pages side by side, now one block; or NOTHING."""
    run: u64 = 0
    for i in range(PAGES):
        run = run + 1 if books.pages[i].kind == FREE else 0
        if run == count:
            first = i + 1 - count
            for j in range(first, i + 1):
                books.pages[j].kind = REST
            books.pages[first].kind = FIRST
            books.pages[first].taken = u16(count)
            return first * PAGE
    return NOTHING


def link(books: Books, number: u16) -> None:
    """Put a page at the head of its class's list."""
    page = books.pages[number]
    head = books.rooms[page.kind]
    page.previous = END
    page.next = head
    if head != END:
        books.pages[head].previous = number
    books.rooms[page.kind] = number


def unlink(books: Books, number: u16) -> None:
    page = books.pages[number]
    if page.previous == END:
        books.rooms[page.kind] = page.next
    else:
        books.pages[page.previous].next = page.next
    if page.next != END:
        books.pages[page.next].previous = page.previous
