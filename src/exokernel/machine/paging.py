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

No page is both writable and executable, in the direct map either: it shows the kernel's code and constants read-only.
"""

from exokernel.metal import Array, Ptr, bits, field, inline, struct, u64

PAGE = 4096
DIRECT_MAP = 0xFFFF800000000000
KERNEL_BASE = 0xFFFFFFFF80000000
IMAGE_PHYSICAL = 0x200000
IMAGE = KERNEL_BASE + IMAGE_PHYSICAL
IMAGE_FRAMES = 512  # at most: what one table maps
WINDOW = 0xFFFFFFFFBFC00000
OWN_PAGES = 0xFFFFFFFFBFE00000
DEVICES = 0xFFFFFFFF00000000  # plus a physical address of the fourth GiB
DEVICES_PHYSICAL = 0xC0000000


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
    frame: u64 = field(12, 51)
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
def node(frame: u64) -> PageTableEntry:
    """An entry of the kernel's half that leads to the table in `frame`; the leaves decide what is allowed."""
    return PageTableEntry(present=True, writable=True, frame=frame)


LARGE_PAGE = 0x200000
GIGABYTE = 0x40000000
FRAMES_PER_GIGABYTE = GIGABYTE // PAGE

direct_map_frame: u64 = 0
image_frame: u64 = 0
devices_frame: u64 = 0


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
    return 4 + gigabytes_of(memory_end)


def build(first_free: u64, memory_end: u64, layout: ImageLayout) -> u64:
    """Builds what all address spaces share, in the frames from `first_free` on; returns the next free frame."""
    global direct_map_frame, image_frame, devices_frame
    direct_map_frame = first_free
    image_frame = first_free + 1
    devices_frame = first_free + 2
    image_alias = first_free + 3
    build_image(table(image_frame), table(image_alias), layout)
    build_gigabyte(
        table(devices_frame), PageTableEntry(frame=DEVICES_PHYSICAL // PAGE, cache_disabled=True, write_through=True)
    )
    gigabytes = gigabytes_of(memory_end)
    top = table(direct_map_frame)
    for i in range(u64(len(top))):
        top[i] = PageTableEntry()
        if i < gigabytes and i != DEVICES_PHYSICAL // GIGABYTE:
            build_gigabyte(table(first_free + 4 + i), PageTableEntry(frame=i * FRAMES_PER_GIGABYTE))
            top[i] = node(first_free + 4 + i)
    table(first_free + 4)[IMAGE_PHYSICAL // LARGE_PAGE] = node(image_alias)
    return first_free + shared_tables(memory_end)


def build_image(image: PageTable, alias: PageTable, layout: ImageLayout) -> None:
    """Maps the 2 MiB that begin with the image: in its own place, and in the direct map."""
    for i in range(u64(len(image))):
        frame = IMAGE_PHYSICAL // PAGE + i
        entry = describe_image_page(layout, frame)
        image[i] = entry
        constant = entry.present and not entry.writable
        alias[i] = PageTableEntry(present=True, writable=not constant, shared=True, frame=frame, no_execute=True)


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


def build_kernel_half(
    root: u64, upper: u64, upper_directory: u64, own: u64, environment_page: u64, kernel_page: u64, directory: u64
) -> None:
    """Fills in the kernel's half of an address space; the arguments are its frames, all zeroed: the top table, then
    three tables of the upper 2 GiB, then what the own pages show. The directory is reached as a page table through
    WINDOW.
    """
    top = table(root)
    top[256] = node(direct_map_frame)
    top[511] = node(upper)
    gigabytes = table(upper)
    gigabytes[510] = node(upper_directory)
    gigabytes[511] = node(devices_frame)
    megabytes = table(upper_directory)
    megabytes[IMAGE_PHYSICAL // LARGE_PAGE] = node(image_frame)
    megabytes[510] = node(directory)
    megabytes[511] = node(own)
    pages = table(own)
    pages[0] = PageTableEntry(present=True, writable=True, frame=environment_page, no_execute=True)
    pages[1] = PageTableEntry(present=True, writable=True, frame=kernel_page, no_execute=True)
    pages[2] = PageTableEntry(present=True, writable=True, frame=directory, no_execute=True)
