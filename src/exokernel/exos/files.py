# SPDX-License-Identifier: MIT
"""The bundle's files, and its programs as something to start: found by name, mapped where they lie, never copied.

The bundle is the same memory for everybody; no page of it is ever writable. It appears at BUNDLE, each page at its own
place, when it is first asked for: that costs a file some 130 instructions a page once, and nothing what nobody reads.
What the bundle says of itself is checked before it is followed, so a damaged one gives an error. Here nothing is
loaded or started: that is a process library's business.
"""

from enum import IntEnum

from exokernel.aegis import abi
from exokernel.aegis.abi import BundleHeader, BundleProgram, BundleSegment, Right
from exokernel.exos import aegis, vm
from exokernel.metal import Array, Ptr, Span, i64, inline, sizeof, struct, u8, u64

BUNDLE = 0x14000000  # where the bundle's page 0 is mapped
BUNDLE_PAGES = 0x4000  # that have a place there; `map_at` reaches those behind them too
NAME_BYTES = 112
PAGE = abi.PAGE_BYTES


class FileError(IntEnum):
    """What else than an `abi.Error` the functions here answer."""

    NOT_FOUND = -100  # nothing of this name or number is in the bundle
    DAMAGED = -101  # what the bundle says of it cannot be
    NO_PLACE = -102  # it lies behind the BUNDLE_PAGES: use `map_at`


@struct
class File:
    """As it stands in the bundle."""

    name: Array[u8, NAME_BYTES]
    offset: u64  # from the bundle's start
    size: u64  # in bytes


# ---- what can be believed


def tables_bytes(header: BundleHeader) -> u64:
    """The length of the bundle's header with the tables of its programs and files."""
    programs = u64(header.program_count) * sizeof(BundleProgram)
    return sizeof(BundleHeader) + programs + u64(header.file_count) * sizeof(File)


def is_bundle(header: BundleHeader, frames: u64) -> bool:
    """Whether this is the header of a bundle that lies in so many frames, with its tables."""
    total = header.total_bytes
    return header.magic == abi.BUNDLE_MAGIC and total <= frames * PAGE and tables_bytes(header) <= total


@inline
def lies_within(offset: u64, size: u64, total: u64) -> bool:
    """Whether `size` bytes from a page's start on are in the bundle."""
    return offset % PAGE == 0 and offset <= total and size <= total - offset


def is_segment(segment: BundleSegment, total: u64) -> bool:
    """Whether a segment can be loaded: from the bundle, to whole pages of an application's memory."""
    if not lies_within(segment.offset, segment.file_bytes, total) or segment.file_bytes > segment.memory_bytes:
        return False
    if segment.flags & abi.MAY_WRITE and segment.flags & abi.MAY_EXECUTE:
        return False
    start = segment.virtual
    return (
        abi.IMAGE_ADDRESS <= start <= abi.USER_LIMIT
        and start % PAGE == 0
        and segment.memory_bytes <= abi.USER_LIMIT - start
    )


def is_program(program: BundleProgram, total: u64) -> bool:
    """Whether a program can be loaded."""
    if program.segment_count > len(program.segments) or program.entry >= abi.USER_LIMIT:
        return False
    for i in range(program.segment_count):
        if not is_segment(program.segments[i], total):
            return False
    return True


def is_name(stored: bytes, name: bytes) -> bool:
    """Whether `stored`, which has zeros at its end, is `name`."""
    length = len(name)
    return 0 < length < len(stored) and stored[length] == 0 and name[length - 1] != 0 and stored[:length] == name


# ---- mapping


def map_frames(page: u64, frame: u64, count: u64) -> i64:
    """Maps the bundle's frames from `frame` on, to read, at the pages from `page` on. Returns 0, or the kernel's error:
    NO_FRAMES (for table nodes), NOT_OWNER (not the bundle's), BAD_ARGUMENT (no such pages), IN_USE (a large page is
    there).
    """
    if page > vm.PAGES or count > vm.PAGES - page:
        return abi.Error.BAD_ARGUMENT
    numbers = Array[u64, abi.BATCH]()
    done: u64 = 0
    while done < count:
        size = min(count - done, abi.BATCH)
        for i in range(size):
            numbers[i] = frame + done + i
        result = vm.ensure_node(page + done)
        if result == 0:
            result = aegis.tlb_insert_batch(page + done, numbers[:size], Right.READ)
        if result < 0:
            return result
        done += u64(result)
    return 0


@inline
def is_mapped(page: u64, frame: u64) -> bool:
    entry = aegis.table_entry(page)
    return entry.present and entry.frame == frame


def reveal(offset: u64, size: u64) -> i64:
    """Maps `size` bytes of the bundle from `offset` on, which are in it, in their place. Returns 0 or an error."""
    first = offset // PAGE
    end = (offset + size + PAGE - 1) // PAGE
    if end > BUNDLE_PAGES:
        return FileError.NO_PLACE
    frame = aegis.system_page().bundle_frame
    while first < end and is_mapped(BUNDLE // PAGE + first, frame + first):
        first += 1
    return map_frames(BUNDLE // PAGE + first, frame + first, end - first) if first < end else 0


# ---- finding


@inline
def header() -> BundleHeader:
    """The bundle's own; to be used after `open`."""
    return Ptr[BundleHeader](BUNDLE)[0]


@inline
def programs() -> Span[BundleProgram]:
    """All of the bundle; to be used after `open`. The first `header().boot_count` were started at boot."""
    return Span[BundleProgram](Ptr[BundleProgram](BUNDLE + sizeof(BundleHeader)), u64(header().program_count))


@inline
def files() -> Span[File]:
    """All of the bundle; to be used after `open`. A name has zeros behind it."""
    place = BUNDLE + sizeof(BundleHeader) + u64(header().program_count) * sizeof(BundleProgram)
    return Span[File](Ptr[File](place), u64(header().file_count))


def open() -> i64:
    """Maps the bundle's tables where they are not mapped yet: a forked process may have lost them. Returns 0, DAMAGED,
    NO_PLACE or NO_FRAMES. `find` and `find_program` do it too.
    """
    error = reveal(0, sizeof(BundleHeader))
    if error == 0 and not is_bundle(header(), aegis.system_page().bundle_frames):
        error = FileError.DAMAGED
    return reveal(0, tables_bytes(header())) if error == 0 else error


def find(name: bytes) -> i64:
    """The number of the file that was declared as `name` in an application's FILES, or an error: NOT_FOUND, `open`'s."""
    error = open()
    if error < 0:
        return error
    for number, file in enumerate(files()):
        if is_name(file.name, name):
            return i64(number)
    return FileError.NOT_FOUND


def find_program(name: bytes) -> i64:
    """The number of the program `name`, which is that of its file without .py, or an error: NOT_FOUND, DAMAGED if it
    cannot be loaded, `open`'s.
    """
    error = open()
    if error < 0:
        return error
    for number, program in enumerate(programs()):
        if is_name(program.name, name):
            return i64(number) if is_program(program, header().total_bytes) else i64(FileError.DAMAGED)
    return FileError.NOT_FOUND


# ---- using


def check(number: u64) -> i64:
    """0 if there is a file of that number and it lies in the bundle, else NOT_FOUND, DAMAGED or `open`'s error."""
    error = open()
    if error < 0:
        return error
    if number >= len(files()):
        return FileError.NOT_FOUND
    file = files()[number]
    return 0 if lies_within(file.offset, file.size, header().total_bytes) else i64(FileError.DAMAGED)


def view(number: u64) -> tuple[Span[u8], i64]:
    """The contents of file `number`, which cannot be written to, and 0; or nothing, and an error: NOT_FOUND, DAMAGED,
    NO_PLACE, NO_FRAMES. The first view of a page maps it; keep the view rather than ask for it again.
    """
    error = check(number)
    if error < 0:
        return Span[u8](Ptr[u8](BUNDLE), 0), error
    file = files()[number]
    return view_part(file.offset, file.size)


def view_part(offset: u64, size: u64) -> tuple[Span[u8], i64]:
    """`size` bytes of the bundle from `offset` on, which are in it: those of a program's segment, say. As `view`."""
    error = reveal(offset, size)
    return Span[u8](Ptr[u8](BUNDLE + offset), size if error == 0 else u64(0)), error


def map_at(number: u64, page: u64) -> i64:
    """Maps file `number` at the pages from `page` on, to read; behind its end, the last page has zeros. The pages are the
    caller's business: `aegis.tlb_remove` ends it. Returns the number of pages, or an error: `view`'s, `map_frames`'s.
    """
    error = check(number)
    if error < 0:
        return error
    file = files()[number]
    pages = (file.size + PAGE - 1) // PAGE
    error = map_frames(page, aegis.system_page().bundle_frame + file.offset // PAGE, pages)
    return i64(pages) if error == 0 else error


@inline
def first_frame(segment: BundleSegment) -> u64:
    """Where the file bytes of a program's segment lie, page by page, for who maps them into another environment."""
    return aegis.system_page().bundle_frame + segment.offset // PAGE
