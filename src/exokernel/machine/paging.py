# SPDX-License-Identifier: MIT
"""Page tables: the layout of their entries, the kernel's half of every address space, and how the kernel reaches
physical memory.

The kernel's half is the same in every address space: the *direct map* shows all memory at DIRECT_MAP; the upper 2 GiB
hold the kernel's image (2 MiB at IMAGE), the table of frames (FRAME_TABLE) and the devices (the last GiB of the first four).
At HANDLER_MAP stand the windows of handlers, which `aegis/handlers.py` fills.
What differs stands above the application's memory, in the same GiB, so that it needs no tables of its own. Because it
stands at fixed addresses, loading the root switches the current environment, its save area and its page tables at once.

    WINDOW           the environment's table nodes side by side: entry n maps the n-th page of its memory
    OWN_PAGES + 0    its environment page
    OWN_PAGES + 1    its kernel page
    OWN_PAGES + 2    its binding page
    OWN_PAGES + 3    its directory: entry n is the n-th table node

Only the kernel can use these. Applications see the nodes at SHOWN_WINDOW and the frames at the low 32 bits of FRAME_TABLE,
read-only. WINDOW never faults: where there is no table node it shows one that all share, whose entries are VACANT.

No page is both writable and executable, in the direct map either: it shows the kernel's code and constants read-only,
and the code of handlers (`aegis/handlers.py`).
"""

from enum import IntEnum

from exokernel.machine import cpu
from exokernel.metal import Array, Ptr, asm, bits, field, inline, struct, u64

PAGE = 4096
DIRECT_MAP = 0xFFFF800000000000
HANDLER_MAP = 0xFFFF808000000000  # 512 GiB, the next entry of every top table
KERNEL_BASE = 0xFFFFFFFF80000000
IMAGE_PHYSICAL = 0x200000
IMAGE = KERNEL_BASE + IMAGE_PHYSICAL
IMAGE_FRAMES = 512  # at most: what one table maps
FRAME_TABLE = KERNEL_BASE + 0x400000  # up to the devices
APPLICATION_NODES = 508  # the others would be those of the own pages in WINDOW
WINDOW = 510 << 21
SHOWN_WINDOW = 511 << 21
OWN_PAGES = WINDOW + APPLICATION_NODES * PAGE
DEVICES = 0xFFFFFFFF00000000  # plus a physical address of the fourth GiB
DEVICES_PHYSICAL = 0xC0000000
MEMORY_LIMIT = 1 << 36  # more has no place in FRAME_TABLE
VACANT = 2  # neither present nor 0


@bits(u64)
class PageTableEntry:
    """SDM volume 3, 4.5.4, tables 4-15 to 4-20; the same layout on all four levels."""

    present: bool = field(0)
    writable: bool = field(1)
    user: bool = field(2)
    write_through: bool = field(3)
    cache_disabled: bool = field(4)
    accessed: bool = field(5)
    dirty: bool = field(6)
    large: bool = field(7)  # maps 2 MiB; in a directory only
    shared: bool = field(8)  # "global": survives a change of address space
    own: bool = field(9)  # ignored by the processor, as the next: an application's mapping of a frame that it owns
    bound: bool = field(10)  # a mapping through binding `slot`
    frame: u64 = field(12, 51)
    slot: u64 = field(52, 58)
    key: u64 = field(59, 62)  # of protection, where the processor has it
    no_execute: bool = field(63)


PageTable = Array[PageTableEntry, 512]


@inline
def direct(physical: u64) -> u64:
    """Where the kernel sees the byte at a physical address."""
    return physical + DIRECT_MAP


@inline
def table(frame: u64) -> PageTable:
    """The frame, looked at as a page table."""
    return Ptr[PageTable](direct(frame * PAGE))[0]


@inline
def fill(frame: u64, entry: PageTableEntry) -> None:
    """Makes all entries of a table the same."""
    asm("rep stosq", "{rdi},{rax},{rcx},~{rdi},~{rcx},~{memory}", direct(frame * PAGE), entry.raw, u64(512))


@inline
def node(frame: u64) -> PageTableEntry:
    """An entry of the kernel's half that leads to the table in `frame`; the leaves decide what is allowed."""
    return PageTableEntry(present=True, writable=True, frame=frame)


LARGE_PAGE = 0x200000
LARGE_FRAMES = LARGE_PAGE // PAGE
GIGABYTE = 0x40000000
FRAMES_PER_GIGABYTE = GIGABYTE // PAGE

direct_map_frame: u64 = 0
handlers_frame: u64 = 0  # entry n leads to the n-th GiB of HANDLER_MAP
upper_frame: u64 = 0
upper_directory_frame: u64 = 0
vacant_frame: u64 = 0  # the shared node of WINDOW


@struct
class ImageLayout:
    """The parts of the kernel's image, as frame numbers: each begins where the one before ends."""

    code: u64
    constants: u64
    data: u64
    end: u64
    guard: u64  # stays unmapped: below the kernel's stack


def describe_image_page(layout: ImageLayout, frame: u64) -> PageTableEntry:
    """How a page of the kernel's image is mapped."""
    if frame < layout.code or frame >= layout.end or frame == layout.guard:
        return PageTableEntry()
    return PageTableEntry(
        present=True, writable=frame >= layout.data, shared=True, frame=frame, no_execute=frame >= layout.constants
    )


@inline
def gigabytes_of(memory_end: u64) -> u64:
    return (memory_end + FRAMES_PER_GIGABYTE - 1) // FRAMES_PER_GIGABYTE


def shared_tables(memory_end: u64) -> u64:
    """How many frames `build` takes, for memory that ends at a frame."""
    return 8 + gigabytes_of(memory_end)


def build(first_free: u64, memory_end: u64, layout: ImageLayout) -> u64:
    """Builds what all address spaces share, in the frames from `first_free` on; returns the next free frame."""
    global direct_map_frame, upper_frame, upper_directory_frame, vacant_frame, handlers_frame
    direct_map_frame = first_free
    image_frame = first_free + 1
    devices_frame = first_free + 2
    image_alias = first_free + 3
    vacant_frame = first_free + 4
    upper_frame = first_free + 5
    upper_directory_frame = first_free + 6
    first = first_free + 7
    handlers_frame = first + gigabytes_of(memory_end)
    fill(handlers_frame, PageTableEntry())
    fill(upper_frame, PageTableEntry())
    fill(upper_directory_frame, PageTableEntry())
    table(upper_frame)[510] = node(upper_directory_frame)
    table(upper_frame)[511] = node(devices_frame)
    table(upper_directory_frame)[IMAGE_PHYSICAL // LARGE_PAGE] = node(image_frame)
    fill(vacant_frame, PageTableEntry(VACANT))
    build_image(table(image_frame), table(image_alias), layout)
    build_gigabyte(
        table(devices_frame), PageTableEntry(frame=DEVICES_PHYSICAL // PAGE, cache_disabled=True, write_through=True)
    )
    gigabytes = gigabytes_of(memory_end)
    top = table(direct_map_frame)
    for i in range(u64(len(top))):
        top[i] = PageTableEntry()
        if i < gigabytes and i != DEVICES_PHYSICAL // GIGABYTE:
            build_gigabyte(table(first + i), PageTableEntry(frame=i * FRAMES_PER_GIGABYTE))
            top[i] = node(first + i)
    table(first)[IMAGE_PHYSICAL // LARGE_PAGE] = node(image_alias)
    return first_free + shared_tables(memory_end)


def build_image(image: PageTable, alias: PageTable, layout: ImageLayout) -> None:
    """Maps the 2 MiB that begin with the image: in its own place, and in the direct map."""
    for i in range(u64(len(image))):
        frame = IMAGE_PHYSICAL // PAGE + i
        entry = describe_image_page(layout, frame)
        image[i] = entry
        constant = entry.present and not entry.writable
        alias[i] = PageTableEntry(present=True, writable=not constant, shared=True, frame=frame, no_execute=True)


def make_code(address: u64, pages: u64, executable: bool) -> None:
    """Makes pages of the kernel's data executable instead of writable, or undoes that."""
    for i in range(pages):
        place = address + i * PAGE
        number = (place - IMAGE) // PAGE
        for tables in range(2):  # its own place, and the direct map: `build` puts their tables there
            seen = table(direct_map_frame + 1 + 2 * tables)
            entry = seen[number]
            entry.writable = not executable
            entry.no_execute = not executable or tables == 1
            seen[number] = entry
        cpu.forget_translation(place)
        cpu.forget_translation(direct(place - KERNEL_BASE))


def build_gigabyte(directory: PageTable, first: PageTableEntry) -> None:
    """Maps a GiB from `first.frame` on, in large pages, for data."""
    first.present = True
    first.writable = True
    first.large = True
    first.shared = True
    first.no_execute = True
    for i in range(u64(len(directory))):
        directory[i] = first
        first.frame += LARGE_PAGE // PAGE


def show_frame_table(first_node: u64, nodes: u64, first: u64, count: u64) -> None:
    """Maps the frame table, which is `count` frames from `first` on, by `nodes` tables from `first_node` on."""
    for i in range(nodes * 512):
        entry = PageTableEntry()
        if i < count:
            entry = PageTableEntry(present=True, writable=True, user=True, frame=first + i, no_execute=True)
        table(first_node + i // 512)[i % 512] = entry
    for i in range(nodes):
        entry = PageTableEntry(present=True, writable=True, user=True, frame=first_node + i)
        table(upper_directory_frame)[(FRAME_TABLE - KERNEL_BASE) // LARGE_PAGE + i] = entry


class Part(IntEnum):
    """What the frames of an address space are, in `Parts`: first the tables."""

    ROOT = 0
    LOWER = 1  # of the application's GiB
    DIRECTORY = 2  # of its table nodes
    NODES = 3  # the same as a page table for WINDOW, without gaps, and behind them the own pages
    FIRST_NODE = 4  # the table node of the pages that the kernel maps
    PAGE = 5  # what the own pages show
    KERNEL_PAGE = 6
    BINDINGS = 7


PARTS = len(Part)
Parts = Array[u64, PARTS]


def build_space(parts: Parts) -> None:
    """Fills in the tables of an address space in which the application has nothing mapped yet."""
    fill(parts[Part.ROOT], PageTableEntry())
    fill(parts[Part.LOWER], PageTableEntry())
    fill(parts[Part.DIRECTORY], PageTableEntry())
    visible = PageTableEntry(present=True, writable=True, user=True)
    top = table(parts[Part.ROOT])
    top[256] = node(direct_map_frame)
    top[257] = node(handlers_frame)
    top[511] = node(upper_frame)
    visible.frame = parts[Part.LOWER]
    top[0] = visible
    visible.frame = parts[Part.DIRECTORY]
    table(parts[Part.LOWER])[0] = visible
    # The kernel's view of the upper 2 GiB, two GiB up for the application: of what it leads to only the frame table is
    # marked for users.
    shown = PageTableEntry(present=True, user=True, frame=upper_directory_frame, no_execute=True)
    table(parts[Part.LOWER])[2] = shown
    table(parts[Part.DIRECTORY])[WINDOW // LARGE_PAGE] = node(parts[Part.NODES])
    shown.frame = parts[Part.NODES]
    table(parts[Part.DIRECTORY])[SHOWN_WINDOW // LARGE_PAGE] = shown
    shown.frame = vacant_frame
    fill(parts[Part.NODES], shown)
    nodes = table(parts[Part.NODES])
    own = PageTableEntry(present=True, writable=True, no_execute=True)
    for i in range(u64(4)):
        own.frame = parts[Part.PAGE + i] if i < 3 else parts[Part.DIRECTORY]
        nodes[APPLICATION_NODES + i] = own


def install_node(directory: u64, nodes: u64, number: u64, frame: u64) -> None:
    """Makes `frame`, which is cleared, table node `number` of the address space whose tables are given."""
    fill(frame, PageTableEntry())
    table(directory)[number] = PageTableEntry(present=True, writable=True, user=True, frame=frame)
    table(nodes)[number] = PageTableEntry(present=True, writable=True, user=True, frame=frame, no_execute=True)


def remove_node(directory: u64, nodes: u64, number: u64) -> None:
    """Undoes `install_node`."""
    table(directory)[number] = PageTableEntry()
    table(nodes)[number] = PageTableEntry(present=True, user=True, frame=vacant_frame, no_execute=True)
