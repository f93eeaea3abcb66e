# SPDX-License-Identifier: MIT
"""Page tables: the layout of their entries, the kernel's half of every address space, and how the kernel reaches
physical memory.

The kernel's half is three regions. The *direct map* shows all memory at DIRECT_MAP. The upper 2 GiB hold the kernel's
image (2 MiB at IMAGE), the devices (the last GiB of the first four), and, different in each address space, the *own*
pages: OWN_PAGES and WINDOW. Because these stand at fixed addresses, loading the root switches the current environment,
its save area and its page tables at once.

    WINDOW           the environment's table nodes side by side: entry n maps the n-th page of its memory
    OWN_PAGES + 0    its environment page
    OWN_PAGES + 1    its kernel page
    OWN_PAGES + 2    its directory: entry n is the n-th table node
    OWN_PAGES + 3    its binding page
    FRAME_TABLE      the table of frames

Applications see WINDOW and FRAME_TABLE too, at the low 32 bits of these addresses, read-only. WINDOW never faults: where
there is no table node it shows one that all share, whose entries are VACANT.

No page is both writable and executable, in the direct map either: it shows the kernel's code and constants read-only.
"""

from enum import IntEnum

from exokernel.machine import cpu
from exokernel.metal import Array, Ptr, asm, bits, field, inline, struct, u64

PAGE = 4096
DIRECT_MAP = 0xFFFF800000000000
KERNEL_BASE = 0xFFFFFFFF80000000
IMAGE_PHYSICAL = 0x200000
IMAGE = KERNEL_BASE + IMAGE_PHYSICAL
IMAGE_FRAMES = 512  # at most: what one table maps
FRAME_TABLE = KERNEL_BASE + 0x400000  # up to WINDOW
WINDOW = 0xFFFFFFFFBFC00000
OWN_PAGES = 0xFFFFFFFFBFE00000
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
GIGABYTE = 0x40000000
FRAMES_PER_GIGABYTE = GIGABYTE // PAGE

direct_map_frame: u64 = 0
image_frame: u64 = 0
devices_frame: u64 = 0
vacant_frame: u64 = 0  # the shared node of WINDOW
frame_table_nodes: u64 = 0  # the first of the tables behind FRAME_TABLE
frame_table_node_count: u64 = 0


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
    return 5 + gigabytes_of(memory_end)


def build(first_free: u64, memory_end: u64, layout: ImageLayout) -> u64:
    """Builds what all address spaces share, in the frames from `first_free` on; returns the next free frame."""
    global direct_map_frame, image_frame, devices_frame, vacant_frame
    direct_map_frame = first_free
    image_frame = first_free + 1
    devices_frame = first_free + 2
    image_alias = first_free + 3
    vacant_frame = first_free + 4
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
            build_gigabyte(table(first_free + 5 + i), PageTableEntry(frame=i * FRAMES_PER_GIGABYTE))
            top[i] = node(first_free + 5 + i)
    table(first_free + 5)[IMAGE_PHYSICAL // LARGE_PAGE] = node(image_alias)
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
        for tables in range(2):  # its own place, and the direct map
            entry = table(image_frame + 2 * tables)[number]
            entry.writable = not executable
            entry.no_execute = not executable or tables == 1
            table(image_frame + 2 * tables)[number] = entry
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
    """Prepares the tables that show the frame table, which is `count` frames from `first` on, in `nodes` frames."""
    global frame_table_nodes, frame_table_node_count
    frame_table_nodes = first_node
    frame_table_node_count = nodes
    for i in range(nodes * 512):
        entry = PageTableEntry()
        if i < count:
            entry = PageTableEntry(present=True, writable=True, user=True, frame=first + i, no_execute=True)
        table(first_node + i // 512)[i % 512] = entry


class Part(IntEnum):
    """What the frames of an address space are, in `Parts`: first the tables."""

    ROOT = 0
    LOWER = 1  # of the application's GiB
    DIRECTORY = 2  # of its table nodes
    NODES = 3  # the same as a page table for WINDOW, without gaps
    UPPER = 4  # three tables of the upper 2 GiB
    UPPER_DIRECTORY = 5
    OWN = 6
    FIRST_NODE = 7  # the table node of the pages that the kernel maps
    PAGE = 8  # what the own pages show
    KERNEL_PAGE = 9
    BINDINGS = 10


PARTS = len(Part)
TABLES = Part.PAGE
Parts = Array[u64, PARTS]


def build_space(parts: Parts) -> None:
    """Fills in the tables of an address space in which the application has nothing mapped yet."""
    for i in range(TABLES):
        if i != Part.NODES and i != Part.FIRST_NODE:
            fill(parts[i], PageTableEntry())
    top = table(parts[Part.ROOT])
    top[256] = node(direct_map_frame)
    top[511] = node(parts[Part.UPPER])
    gigabytes = table(parts[Part.UPPER])
    gigabytes[510] = node(parts[Part.UPPER_DIRECTORY])
    gigabytes[511] = node(devices_frame)
    megabytes = table(parts[Part.UPPER_DIRECTORY])
    megabytes[IMAGE_PHYSICAL // LARGE_PAGE] = node(image_frame)
    visible = PageTableEntry(present=True, writable=True, user=True)
    for i in range(frame_table_node_count):
        visible.frame = frame_table_nodes + i
        megabytes[(FRAME_TABLE - KERNEL_BASE) // LARGE_PAGE + i] = visible
    visible.frame = parts[Part.NODES]
    megabytes[510] = visible
    megabytes[511] = node(parts[Part.OWN])
    fill(parts[Part.NODES], PageTableEntry(present=True, user=True, frame=vacant_frame, no_execute=True))
    pages = table(parts[Part.OWN])
    pages[0] = PageTableEntry(present=True, writable=True, frame=parts[Part.PAGE], no_execute=True)
    pages[1] = PageTableEntry(present=True, writable=True, frame=parts[Part.KERNEL_PAGE], no_execute=True)
    pages[2] = PageTableEntry(present=True, writable=True, frame=parts[Part.DIRECTORY], no_execute=True)
    pages[3] = PageTableEntry(present=True, writable=True, frame=parts[Part.BINDINGS], no_execute=True)
    visible.frame = parts[Part.LOWER]
    top[0] = visible
    visible.frame = parts[Part.DIRECTORY]
    table(parts[Part.LOWER])[0] = visible
    # The kernel's own view of the upper 2 GiB, two GiB up for the application: of what it leads to only the frame table
    # and the nodes are marked for users.
    table(parts[Part.LOWER])[2] = PageTableEntry(
        present=True, user=True, frame=parts[Part.UPPER_DIRECTORY], no_execute=True
    )


def install_node(directory: u64, nodes: u64, number: u64, frame: u64) -> None:
    """Makes `frame`, which is cleared, table node `number` of the address space whose tables are given."""
    fill(frame, PageTableEntry())
    table(directory)[number] = PageTableEntry(present=True, writable=True, user=True, frame=frame)
    table(nodes)[number] = PageTableEntry(present=True, writable=True, user=True, frame=frame, no_execute=True)


def remove_node(directory: u64, nodes: u64, number: u64) -> None:
    """Undoes `install_node`."""
    table(directory)[number] = PageTableEntry()
    table(nodes)[number] = PageTableEntry(present=True, user=True, frame=vacant_frame, no_execute=True)
