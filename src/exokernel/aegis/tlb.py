# SPDX-License-Identifier: MIT
"""The translation cache: mappings that an application inserts, of frames that it owns or has bound, through table nodes
that it donated.

The application chooses page, frame and rights; the kernel composes the entry, so no entry ever maps what its inserter
has no right to, nor is writable and executable. A mapping of an own frame is noted in the frame's entry, one through a
binding in the binding, so that whoever must end it finds it; that of a public frame never need be found. Nothing is
ever evicted. Calls work on the current address space, through the window that shows its table nodes at a fixed address;
`unmap` on any.

The calls that are made most often are a few instructions of their own, which use no memory of the stack and, of the
registers, `rax`, `r9` and `r10`. They do what an application usually wants and leave everything else to the functions.
"""

from typing import Final

from exokernel.aegis import environment, frames, trace  # noqa: F401  (in assembly)
from exokernel.aegis.abi import *
from exokernel.aegis.environment import Binding, BindingPage, KernelPage
from exokernel.aegis.user_memory import UserAddress, copy_in
from exokernel.machine import cpu, paging
from exokernel.machine.paging import PageTable, PageTableEntry
from exokernel.metal import Array, Ptr, Span, addr, align, asm, i64, inline, naked, offsetof, u8, u32, u64

PAGES = USER_LIMIT // paging.PAGE
SIGNED = 1 << 64  # assembly wants the kernel's addresses as negative numbers
WINDOW = paging.WINDOW
FRAME_OWNER = paging.FRAME_TABLE + offsetof(FrameEntry, "owner") - SIGNED  # and kind, and page
FRAME_PAGE = paging.FRAME_TABLE + offsetof(FrameEntry, "page") - SIGNED
UNMAPPED = environment.KERNEL_PAGE + offsetof(KernelPage, "unmapped")
SCRATCH = environment.KERNEL_PAGE + offsetof(KernelPage, "scratch")
INSERT, PROTECT, INSERT_BOUND = Call.TLB_INSERT, Call.TLB_PROTECT, Call.TLB_INSERT_BOUND
OWN_BIT = 9  # PageTableEntry.own, which only entries that are present have, as the next
OWN = 1 << OWN_BIT
BOUND = 1 << 10
SLOT_SHIFT = 52
BINDING_SHIFT = 5  # a Binding is 32 bytes
BINDING_KIND = environment.BINDING_PAGE + offsetof(Binding, "kind")  # and page
BINDING_PLACE = environment.BINDING_PAGE + offsetof(Binding, "page")
BINDING_INDEX = environment.BINDING_PAGE + offsetof(Binding, "index")
BINDING_FORBIDDEN = environment.BINDING_PAGE + offsetof(Binding, "forbidden")
REFUSED = 0xFFFFFFFFFFFFFFFF  # what RIGHTS holds for a byte that is no rights; adding it to an entry carries


def _entry_bits(rights: int) -> int:
    """The part of a table entry that the low byte of a call's rights stands for."""
    allowed, key = rights & 15, rights >> KEY_SHIFT
    if allowed == 0 or allowed > Right.READ + Right.EXECUTE:
        return REFUSED
    writable, executable = bool(allowed & Right.WRITE), bool(allowed & Right.EXECUTE)
    return 1 | writable << 1 | 1 << 2 | OWN | key << 59 | (not executable) << 63


RIGHTS: Final[Array[u64, 256]] = Array[u64, 256]([_entry_bits(rights) for rights in range(256)])
IDLE_BINDING: Final[Array[u64, 1]] = Array[u64, 1]([NOWHERE << 32 | Kind.FRAME])  # kind and page of one not mapped
KEPT_BOUND: Final[Array[u64, 1]] = Array[u64, 1]([0x07FFFFFFFFFFF460])  # as KEPT, with `bound` and `slot`
KEPT: Final[Array[u64, 1]] = Array[u64, 1]([0x000FFFFFFFFFF060])  # when rights change: frame, accessed, dirty
SAME: Final[Array[u64, 1]] = Array[u64, 1]([0x000FFFFFFFFFF000 | OWN])  # of the entries of one frame


@naked
@align(64)
def insert_entry() -> None:
    """`tlb_insert` of an own frame that is not mapped at a page where nothing is, or of what is there already."""
    asm("""
        cmp rdi, {PAGES}
        jae 8f
        cmp qword ptr [rdi*8 + {WINDOW}], 0
        jne 5f
        cmp rsi, qword ptr [{frames.count}]
        jae 8f
        mov rax, rsi
        shl rax, 5
        mov r9, qword ptr [{UNMAPPED}]
        cmp r9, qword ptr [rax + {FRAME_OWNER}]
        jne 8f
        movzx r9d, dl
        mov r10, rsi
        shl r10, 12
        add r10, qword ptr [{RIGHTS} + r9*8]
        jc 8f
        mov qword ptr [rdi*8 + {WINDOW}], r10
        mov dword ptr [rax + {FRAME_PAGE}], edi
        xor eax, eax
        {trace.SYSRET}
    5:
        mov r10, rsi
        shl r10, 12
        mov rax, qword ptr [rdi*8 + {WINDOW}]
        xor rax, r10
        and rax, qword ptr [{SAME}]
        cmp rax, {OWN}
        jne 8f
        movzx r9d, dl
        add r10, qword ptr [{RIGHTS} + r9*8]
        jc 8f
        mov qword ptr [rdi*8 + {WINDOW}], r10
        mov rax, rdi
        shl rax, 12
        invlpg [rax]
        xor eax, eax
        {trace.SYSRET}
    8:
        mov eax, {INSERT}
        jmp call_entry
    """)


@naked
@align(64)
def insert_bound_entry() -> None:
    """`tlb_insert_bound` of a binding that is not mapped at a page where nothing is."""
    asm("""
        cmp rdi, {PAGES}
        jae 8f
        cmp rsi, {BINDINGS}
        jae 8f
        cmp qword ptr [rdi*8 + {WINDOW}], 0
        jne 8f
        mov rax, rsi
        shl rax, {BINDING_SHIFT}
        mov r9, qword ptr [{IDLE_BINDING}]
        cmp r9, qword ptr [rax + {BINDING_KIND}]
        jne 8f
        test byte ptr [rax + {BINDING_FORBIDDEN}], dl
        jnz 8f
        mov r10d, dword ptr [rax + {BINDING_INDEX}]
        shl r10, 12
        movzx r9d, dl
        add r10, qword ptr [{RIGHTS} + r9*8]
        jc 8f
        mov r9, rsi
        shl r9, {SLOT_SHIFT}
        lea r10, [r10 + r9 + {BOUND - OWN}]
        mov qword ptr [rdi*8 + {WINDOW}], r10
        mov dword ptr [rax + {BINDING_PLACE}], edi
        xor eax, eax
        {trace.SYSRET}
    8:
        xor r9d, r9d
        mov eax, {INSERT_BOUND}
        jmp call_entry
    """)


FOUR = [f"qword ptr [r9 + r10*8 - {8 * (i + 1)}]" for i in range(4)]
LOOK_AT_FOUR = "\n".join(f"and rax, {entry}" for entry in FOUR)
CHANGE_FOUR = "\n".join(f"and {entry}, rdx\nor {entry}, rax" for entry in FOUR)


@naked
@align(64)
def protect_entry() -> None:
    """`tlb_protect` where all pages are mapped and own. The second pass over them finds nothing that the first has not
    seen: nobody else runs.
    """
    asm("""
        cmp rsi, 1
        jne 2f
        cmp rdi, {PAGES}
        jae 8f
        mov r10, qword ptr [rdi*8 + {WINDOW}]
        test r10d, {OWN}
        jz 11f
        movzx r9d, dl
        and r10, qword ptr [{KEPT}]
        add r10, qword ptr [{RIGHTS} + r9*8]
        jc 8f
        mov qword ptr [rdi*8 + {WINDOW}], r10
        mov rax, rdi
        shl rax, 12
        invlpg [rax]
        xor eax, eax
        {trace.SYSRET}
    11:
        test r10d, {BOUND}
        jz 8f
        mov r9, r10
        shr r9, {SLOT_SHIFT - BINDING_SHIFT}
        and r9d, {(BINDINGS - 1) << BINDING_SHIFT}
        test byte ptr [r9 + {BINDING_FORBIDDEN}], dl
        jnz 8f
        movzx r9d, dl
        and r10, qword ptr [{KEPT_BOUND}]
        add r10, qword ptr [{RIGHTS} + r9*8]
        jc 8f
        btr r10, {OWN_BIT}
        mov qword ptr [rdi*8 + {WINDOW}], r10
        mov rax, rdi
        shl rax, 12
        invlpg [rax]
        xor r9d, r9d
        xor eax, eax
        {trace.SYSRET}
    2:
        lea rax, [rsi - 1]
        cmp rax, {BATCH - 1}
        ja 8f
        mov r10d, {PAGES}
        sub r10, rsi
        cmp rdi, r10
        ja 8f
        lea r9, [rdi*8 + {WINDOW}]
        mov rax, -1
        mov r10, rsi
    3:
        test r10b, 3
        jz 4f
        and rax, qword ptr [r9 + r10*8 - 8]
        dec r10
        jnz 3b
        jmp 5f
    4:
        {LOOK_AT_FOUR}
        sub r10, 4
        jnz 4b
    5:
        test eax, {OWN}
        jz 8f
        movzx eax, dl
        mov rax, qword ptr [{RIGHTS} + rax*8]
        cmp rax, -1
        je 8f
        mov qword ptr [{SCRATCH}], rdx
        mov rdx, qword ptr [{KEPT}]
        mov r10, rsi
    6:
        test r10b, 3
        jz 7f
        and qword ptr [r9 + r10*8 - 8], rdx
        or qword ptr [r9 + r10*8 - 8], rax
        dec r10
        jnz 6b
        jmp 9f
    7:
        {CHANGE_FOUR}
        sub r10, 4
        jnz 7b
    9:
        mov rdx, qword ptr [{SCRATCH}]
        mov rax, cr3
        mov cr3, rax
        xor r9d, r9d
        xor eax, eax
        {trace.SYSRET}
    8:
        xor r9d, r9d
        mov eax, {PROTECT}
        jmp call_entry
    """)


@inline
def directory() -> PageTable:
    """The current address space's table of table nodes."""
    return Ptr[PageTable](environment.DIRECTORY)[0]


@inline
def entry_of(virtual_page: u64) -> Ptr[PageTableEntry]:
    """The entry that maps a page of the current environment; `virtual_page` < PAGES. Where there is no table node it is
    VACANT and must not be written.
    """
    return Ptr[PageTableEntry](paging.WINDOW) + virtual_page


def entry_in(identifier: u64, virtual_page: u64) -> Ptr[PageTableEntry]:
    """`entry_of` for any environment."""
    node = paging.table(paging.table(environment.records[identifier].nodes)[virtual_page // 512].frame)
    return addr(node[virtual_page % 512])


def is_writable(virtual_page: u64) -> bool:
    """Whether the current environment may write to a page; `virtual_page` < PAGES."""
    entry = entry_of(virtual_page)[0]
    return entry.present and entry.writable


# ---- removing


def unmap(identifier: u64, virtual_page: u64) -> None:
    """Removes the mapping of a page of any environment, with its note; a large page goes as a whole."""
    record = environment.records[identifier]
    number = virtual_page // 512
    if paging.table(record.directory)[number].large:
        remove_large(identifier, number)
        return
    place = entry_in(identifier, virtual_page)
    entry = place[0]
    if not entry.present:
        return
    if entry.own:
        frames.entry(entry.frame).page = NOWHERE
    elif entry.bound:
        record.bindings[0][entry.slot].page = NOWHERE
    place[0] = PageTableEntry()
    cpu.forget_translation(virtual_page * paging.PAGE)


def remove_large(identifier: u64, number: u64) -> None:
    """Removes a large page of any environment."""
    record = environment.records[identifier]
    first = paging.table(record.directory)[number].frame
    for i in range(LARGE_PAGES):
        frames.entry(first + i).page = NOWHERE
    paging.remove_node(record.directory, record.nodes, number)
    cpu.forget_translation(number * LARGE_PAGES * paging.PAGE)


def remove(virtual_page: u64, count: u64, third: u64, fourth: u64) -> i64:
    """The call `tlb_remove`."""
    if count == 0 or count > BATCH or virtual_page > PAGES - count:
        return Error.BAD_ARGUMENT
    identifier = environment.current().identifier
    for i in range(count):
        unmap(identifier, virtual_page + i)
    return 0


# ---- inserting


@inline
def allows(forbidden: u32, rights: u64) -> bool:
    """Whether a binding allows the rights of a mapping."""
    return rights & 7 & forbidden == 0


def insert(virtual_page: u64, frame: u64, rights: u64, fourth: u64) -> i64:
    """The call `tlb_insert`, in full."""
    return insert_for(environment.current().identifier, virtual_page, frame, rights)


def insert_for(identifier: u64, virtual_page: u64, frame: u64, rights: u64) -> i64:
    """`tlb_insert` into any environment."""
    if virtual_page >= PAGES:
        return Error.BAD_ARGUMENT
    bits = RIGHTS[rights & 0xFF]
    if rights & 0xFF == Right.NONE:
        if not paging.table(environment.records[identifier].directory)[virtual_page // 512].present:
            return Error.NO_NODE
        unmap(identifier, virtual_page)
        return 0
    if bits == REFUSED:
        return Error.BAD_ARGUMENT
    error = find_room(identifier, virtual_page)
    if error < 0:
        return error
    entry = PageTableEntry(bits)
    entry.frame = frame
    if not entry.writable and frames.is_public(frame):
        entry.own = False
        put(identifier, virtual_page, entry)
        return 0
    if not frames.is_usable(frame, identifier):
        return Error.NOT_OWNER
    page = frames.entry(frame).page
    if page != NOWHERE and page != virtual_page:
        return Error.IN_USE
    put_own(identifier, virtual_page, frame, rights)
    return 0


@inline
def put_own(identifier: u64, virtual_page: u64, frame: u64, rights: u64) -> None:
    """Maps a usable frame that is not mapped elsewhere, by rights that are not REFUSED; a table node covers the page."""
    entry = PageTableEntry(RIGHTS[rights & 0xFF])
    entry.frame = frame
    put(identifier, virtual_page, entry)
    frames.entry(frame).page = u32(virtual_page)


def find_room(identifier: u64, virtual_page: u64) -> i64:
    """0 if a table node covers the page."""
    entry = paging.table(environment.records[identifier].directory)[virtual_page // 512]
    if not entry.present:
        return Error.NO_NODE
    return i64(Error.IN_USE) if entry.large else 0


def put(identifier: u64, virtual_page: u64, entry: PageTableEntry) -> None:
    """Writes an entry in place of what is there; a table node covers the page."""
    place = entry_in(identifier, virtual_page)
    if place[0].present:
        unmap(identifier, virtual_page)
    place[0] = entry


def insert_bound(virtual_page: u64, slot: u64, rights: u64, fourth: u64) -> i64:
    """The call `tlb_insert_bound`."""
    bits = RIGHTS[rights & 0xFF]
    if virtual_page >= PAGES or slot >= BINDINGS or bits == REFUSED:
        return Error.BAD_ARGUMENT
    identifier = environment.current().identifier
    error = find_room(identifier, virtual_page)
    if error < 0:
        return error
    binding = Ptr[BindingPage](environment.BINDING_PAGE)[0][slot]
    if binding.kind != Kind.FRAME or not allows(binding.forbidden, rights):
        return Error.NOT_PERMITTED
    if binding.page != NOWHERE and binding.page != virtual_page:
        return Error.IN_USE
    entry = PageTableEntry(bits)
    entry.own = False
    entry.bound = True
    entry.slot = slot
    entry.frame = u64(binding.index)
    put(identifier, virtual_page, entry)
    binding.page = u32(virtual_page)
    return 0


def protect(virtual_page: u64, count: u64, rights: u64, fourth: u64) -> i64:
    """The call `tlb_protect`, in full."""
    bits = RIGHTS[rights & 0xFF]
    if count == 0 or count > BATCH or virtual_page > PAGES - count or bits == REFUSED:
        return Error.BAD_ARGUMENT
    bindings = Ptr[BindingPage](environment.BINDING_PAGE)[0]
    for i in range(count):
        place = entry_of(virtual_page + i)
        old = place[0]
        if not old.present:
            continue
        if not old.own and not (old.bound and allows(bindings[old.slot].forbidden, rights)):
            return Error.NOT_OWNER
        changed = PageTableEntry(bits)
        changed.own = old.own
        changed.bound = old.bound
        changed.slot = old.slot
        changed.frame = old.frame
        changed.accessed = old.accessed
        changed.dirty = old.dirty
        place[0] = changed
        cpu.forget_translation((virtual_page + i) * paging.PAGE)
    return 0


batch: Array[u64, BATCH] = Array[u64, BATCH]()


def insert_batch(virtual_page: u64, address: u64, count: u64, rights: u64) -> i64:
    """The call `tlb_insert_batch`."""
    if count == 0 or count > BATCH or virtual_page > PAGES - count or rights & 0xFF == Right.NONE:
        return Error.BAD_ARGUMENT
    if not copy_in(Span[u8](Ptr[u8](addr(batch[0])), count * 8), UserAddress(address)):
        return Error.BAD_ADDRESS
    identifier = environment.current().identifier
    unmapped = environment.current().unmapped
    bits = RIGHTS[rights & 0xFF]
    for i in range(count):
        frame, place = batch[i], entry_of(virtual_page + i)
        plain = frame < frames.count and bits != REFUSED and place[0].raw == 0
        if plain and Ptr[u64](addr(frames.entry(frame).owner))[0] == unmapped:  # an own frame, where nothing is
            place[0] = PageTableEntry(bits | frame << 12)
            frames.entry(frame).page = u32(virtual_page + i)
            continue
        error = insert_for(identifier, virtual_page + i, frame, rights)
        if error < 0:
            return error if i == 0 else i64(i)
    return i64(count)


def insert_large(virtual_page: u64, first: u64, rights: u64, fourth: u64) -> i64:
    """The call `tlb_insert_large`."""
    bits = RIGHTS[rights & 0xFF]
    if virtual_page >= PAGES or virtual_page % LARGE_PAGES != 0 or first % LARGE_PAGES != 0 or bits == REFUSED:
        return Error.BAD_ARGUMENT
    if directory()[virtual_page // LARGE_PAGES].present:
        return Error.IN_USE
    identifier = environment.current().identifier
    for i in range(LARGE_PAGES):
        if not frames.is_usable(first + i, identifier):
            return Error.NOT_OWNER
        if frames.entry(first + i).page != NOWHERE:
            return Error.IN_USE
    for i in range(LARGE_PAGES):
        frames.entry(first + i).page = u32(virtual_page + i)
    entry = PageTableEntry(bits)
    entry.large = True
    entry.frame = first
    directory()[virtual_page // LARGE_PAGES] = entry
    return 0


# ---- table nodes


def node(virtual_page: u64, frame: u64, third: u64, fourth: u64) -> i64:
    """The call `tlb_node`."""
    return node_for(environment.current().identifier, virtual_page, frame)


def node_for(identifier: u64, virtual_page: u64, frame: u64) -> i64:
    """`tlb_node` for any environment, with a frame of the caller's."""
    if virtual_page >= PAGES:
        return Error.BAD_ARGUMENT
    if not frames.can_become_table(frame, environment.current().identifier):
        return Error.NOT_OWNER
    record = environment.records[identifier]
    present = paging.table(record.directory)[virtual_page // 512]
    if present.present:
        return i64(Error.IN_USE) if present.large else 0
    frames.move(frame, identifier, FrameKind.NODE)
    paging.install_node(record.directory, record.nodes, virtual_page // 512, frame)
    cpu.forget_translation(paging.WINDOW + virtual_page // 512 * paging.PAGE)
    cpu.forget_translation(ENTRIES_ADDRESS + virtual_page // 512 * paging.PAGE)  # where the application looks
    return 0


def node_remove(virtual_page: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `tlb_node_remove`."""
    if virtual_page >= PAGES:
        return Error.BAD_ARGUMENT
    identifier = environment.current().identifier
    number = virtual_page // 512
    present = directory()[number]
    if not present.present or present.large:
        return Error.NO_NODE
    for entry in paging.table(present.frame):
        if entry.present:
            return Error.IN_USE
    record = environment.records[identifier]
    paging.remove_node(record.directory, record.nodes, number)
    cpu.load_root(record.root)
    frames.move(present.frame, identifier, FrameKind.DATA)
    frames.clear(present.frame)
    return i64(present.frame)
