# SPDX-License-Identifier: MIT
"""All that an application knows of Aegis: addresses, call numbers, errors, the pages it shares with the kernel, call
stubs.

Both sides import this file; it must never import anything of the kernel, and nothing in it may need a kernel to be
compiled. A call is `syscall` with its number in `al`, arguments in `rdi`, `rsi`, `rdx`, `r8`, the result in `rax`
(negative: an `Error`). `rcx` and `r11` are destroyed, every other register is preserved, except `r9` and `r10` by
`tlb_insert` and `tlb_protect`, and all by `yield_to` and the transfers. Every call does a bounded amount of work; only
`wait`, `yield_to` and the transfers give the processor away.
"""

from enum import IntEnum

from exokernel.metal import (
    Array,
    Ptr,
    Span,
    addr,
    asm,
    bits,
    field,
    i64,
    inline,
    naked,
    noreturn,
    offsetof,
    sizeof,
    struct,
    u8,
    u16,
    u32,
    u64,
    unreachable,
    volatile_load,
)

# An application's address space. Everything that it can map lies below USER_LIMIT.
PAGE_BYTES = 4096
ENVIRONMENT_ADDRESS = 0x200000  # EnvironmentPage: readable and writable
SYSTEM_ADDRESS = 0x201000  # SystemPage: readable
STACK_TOP = 0x3F0000  # the first stack ends here; the pages on both sides of it are not mapped
STACK_BYTES = 0x10000
IMAGE_ADDRESS = 0x400000
USER_LIMIT = 0x40000000
FRAMES_ADDRESS = 0x80400000  # FrameEntry n describes frame n: readable
ENTRIES_ADDRESS = 0xBFC00000  # TableEntry n maps page n of the application: readable, also where there is no table node

ENVIRONMENTS = 64
SLICES = 64
NAME_BYTES = 32

CONSOLE_WRITE_LIMIT = 4096  # bytes per call
TRANSMIT_LIMIT = 1514  # bytes of one Ethernet frame, without its check sequence
RING_SLOTS = 128
ANY_ENVIRONMENT = 255  # for yield_to: whoever owns the next slice
LINES = 24  # device lines: pins of the first I/O APIC
CONSOLE_LINE = 4  # fires while something was typed and not read
ANY = 0xFFFFFFFFFFFFFFFF  # for slice_claim and frame_claim: whichever is free
EXCESS_LIMIT = 4  # unpaid ticks; who owes as many is not asked to end its slice but made to
BATCH = 128  # pages of one call of the TLB's
LARGE_PAGES = 512  # pages, or frames, of one large page
BINDINGS = 128  # slots of the binding page
GUARANTEED_FRAMES = 16  # that an environment may have
PINNED_FRAMES = 64
NOWHERE = 0xFFFFFFFF  # FrameEntry.page of a frame that its owner has not mapped
FRAME_FREE = ENVIRONMENTS  # FrameEntry.owner of a frame that is nobody's
FRAME_KERNEL = ENVIRONMENTS + 1
FOREVER = 0xFFFFFFFFFFFFFFFF  # for wait: no deadline


class Call(IntEnum):
    """System-call numbers. The numbers not named here answer `Error.NO_CALL`."""

    NULL = 0
    CONSOLE_WRITE = 1
    EXIT = 2
    FRAME_CLAIM = 3
    TLB_INSERT = 4
    TLB_NODE = 5
    YIELD_TO = 6
    WAIT = 7
    NETWORK_BIND = 8
    NETWORK_TRANSMIT = 9
    SHUTDOWN = 10
    SLICE_CLAIM = 40
    SLICE_RELEASE = 41
    SLICE_GIVE = 42
    FRAME_RELEASE = 16
    FRAME_BREAK = 17
    FRAME_PIN = 18
    FRAME_GUARANTEE = 19
    FRAME_GIVE = 20
    TLB_INSERT_BATCH = 21
    TLB_INSERT_LARGE = 22
    TLB_PROTECT = 23
    TLB_REMOVE = 24
    TLB_NODE_REMOVE = 25
    CAPABILITY_MINT = 26
    CAPABILITY_WEAKEN = 27
    BIND = 28
    UNBIND = 29
    TLB_INSERT_BOUND = 30
    TRANSFER = 43
    TRANSFER_BACK = 44
    TRANSFER_ASYNCHRONOUS = 45
    FLOATING_POINT = 46
    EXCEPTION_RETURN = 47
    LINE_BIND = 48
    LINE_UNMASK = 49
    CONSOLE_READ = 50


class Error(IntEnum):
    """What a call answers when it does nothing."""

    NO_CALL = -1  # no call has this number
    BAD_ADDRESS = -2  # the memory named is not the caller's, or not mapped as the call needs it
    BAD_ARGUMENT = -3  # out of range
    NOT_OWNER = -4  # the frame named is not the caller's, or is in use as something else
    NO_FRAMES = -5  # no frame is free
    NO_NODE = -6  # no table node covers this page: donate one with tlb_node
    NOT_RUNNABLE = -7  # the environment named does not exist or sleeps
    NO_NETWORK = -8  # there is no network device
    BUSY = -9  # the resource is bound to another environment
    QUEUE_FULL = -10  # the device has not yet sent what was given to it before
    NOT_PERMITTED = -11  # only environment 0 may do this, or the binding allows less
    NO_SLICES = -40  # every position has an owner
    NO_ENTRY = -41  # the environment named has stored no entry for transfers
    PARTNER_LOST = -42  # the environment that was called ended before it answered
    NO_CALLER = -43  # nobody waits for an answer
    NO_INPUT = -44  # nothing has been typed
    IN_USE = -12  # the frame or node is mapped, bound, pinned or guaranteed
    NO_ROOM = -13  # the limit of what one environment may have is reached
    NO_ENVIRONMENT = -14  # the environment named does not exist
    FORGED = -15  # this is no capability
    STALE = -16  # the resource has changed its owner or was broken since the capability was minted


class Right(IntEnum):
    """What a mapping allows. A page is never both writable and executable."""

    NONE = 0  # removes the mapping
    READ = 1
    WRITE = 2  # includes READ
    EXECUTE = 4  # includes READ


NAME_INDEX_BITS = 56
KEY_SHIFT = 4  # bits 4 to 7 of a mapping's rights are its protection key


class Kind(IntEnum):
    """Of a resource that has a name: the name is the kind, shifted by NAME_INDEX_BITS, and a number."""

    FRAME = 1


class FrameKind(IntEnum):
    """What a frame is used as, in `FrameEntry.kind`."""

    NONE = 0
    DATA = 1  # its owner may map it
    NODE = 2  # a page table, or another page that only the kernel writes


class FrameFlag(IntEnum):
    """Bits of `FrameEntry.flags`. A frame that has any is never taken by force."""

    GUARANTEED = 1
    PINNED = 2


@struct(volatile=True)
class FrameEntry:
    """One frame, as everybody may see it. The free frames, and those of each environment, form a ring."""

    next: u32  # a frame, or the end of the ring: an entry behind those of all frames
    previous: u32
    owner: u16  # an environment, FRAME_FREE or FRAME_KERNEL
    kind: u16
    page: u32  # where the owner maps it, or NOWHERE
    generation: u32  # moves on whenever the frame changes its owner or is broken
    bindings: u32  # 0 if nobody has bound it
    pins: u32  # uses by the kernel: a device may write to it
    flags: u32


@bits(u64)
class TableEntry:
    """How one page is mapped, as the processor sees it (SDM volume 3, table 4-20). It sets `accessed` and `dirty`."""

    present: bool = field(0)
    writable: bool = field(1)
    accessed: bool = field(5)
    dirty: bool = field(6)
    own: bool = field(9)  # the frame is the environment's, mapped by itself
    bound: bool = field(10)  # mapped through binding `slot`
    frame: u64 = field(12, 51)
    slot: u64 = field(52, 58)
    key: u64 = field(59, 62)
    no_execute: bool = field(63)


class Event(IntEnum):
    """Bits of `EnvironmentPage.pending` and `masked`."""

    NETWORK = 1  # frames were put into the receive ring
    LINE = 256  # a device line fired: see `EnvironmentPage.lines`


@bits(u64)
class Cause:
    """Why an exception happened."""

    error: u64 = field(0, 15)  # the processor's error code, 0 for exceptions that have none
    vector: u64 = field(16, 23)  # Intel SDM volume 3, table 6-1


@struct(volatile=True)
class ExceptionFrame:
    """What the kernel and the processor pushed when an exception, or an event, interrupted the application."""

    address: u64  # of the access that faulted; only written by page faults (vector 14)
    r11: u64
    rcx: u64
    cause: Cause  # of an event: its pending bits
    ip: u64
    cs: u64
    flags: u64
    sp: u64
    ss: u64


@struct
class Registers:
    """In the order in which the kernel saves them."""

    r15: u64
    r14: u64
    r13: u64
    r12: u64
    r11: u64
    r10: u64
    r9: u64
    r8: u64
    rdi: u64
    rsi: u64
    rbp: u64
    rbx: u64
    rdx: u64
    rcx: u64
    rax: u64


@struct
class Context:
    """All that is needed to continue an environment; what `iretq` takes comes last."""

    registers: Registers
    ip: u64
    cs: u64
    flags: u64
    sp: u64
    ss: u64


_ENTRIES_BYTES = 4 + 4 + 8 + 8 + 8 + NAME_BYTES
_PROCESSOR_BYTES = 6 * 4 + 2 * 8
_FRAME_BYTES = 9 * 8


@struct(volatile=True)
class EnvironmentPage:
    """The page that an application shares with the kernel, at ENVIRONMENT_ADDRESS. Setting a handler is a store.

    An exception pushes `exception_frame`, takes `exception_entry`, leaves 0 there, and continues at the entry with
    flags 0x202; `rcx`, `r11` and `rsp` are then free (load a stack before you use one), all other registers are as they
    were. The handler stores its address again when it no longer needs the frame. An exception that finds 0 ends the
    environment: so does a fault inside the handler.

    To resume without the kernel: store the entry again, load `rcx` and `r11` from the frame, point `rsp` at
    `exception_frame.flags`, then `popfq; pop rsp; jmp [exception_frame.ip]` with the address as a constant.

    Events work alike with `event_entry` and `event_frame`, but all registers are as they were: while the entry is not
    0, a bit of `pending` that is not in `masked` interrupts the application there the next time the kernel gives it the
    processor. Without an entry `wait` sees them.

    `slice_end_entry`, the epilogue, is entered like an event when a slice of the environment ends, with
    `slice_end_frame`. It puts things in order and yields. Time that it takes beyond the next tick counts as excess: each
    tick costs a later slice, and after EXCESS_LIMIT ticks, or without an epilogue, the kernel ends the slice itself.
    `slice_start_entry`, the prologue, is entered when one of the environment's own slices begins: where it was goes to
    `saved`, from where the prologue continues it, now or later; it copies what it needs before it stores its entry
    again. `rsp` and all registers but those of flags are those of `saved`. Both entries are taken out when they are
    used, as the exception's is; without a prologue the kernel continues the environment where it was.

    The three transfer entries stay where they are stored; see `transfer`. They are entered with flags 0x202 and every
    register a stranger's but `rax`: load a stack before you use one.
    """

    exception_entry: u32  # below USER_LIMIT, so 32 bits
    event_entry: u32
    pending: u64  # Event bits; the kernel sets them, the application clears them with one atomic instruction
    masked: u64  # Event bits that neither interrupt nor wake
    identifier: u64  # this environment's number
    name: Array[u8, NAME_BYTES]  # padded with zeros
    slice_start_entry: u32
    slice_end_entry: u32
    transfer_entry: u32
    transfer_asynchronous_entry: u32
    transfer_return_entry: u32
    reserved: u32
    transfer_stack: u64  # of the stub `transfer`; the kernel does not look at it
    lines: u64  # bit n: line n fired; the application clears it with one atomic instruction
    application: Array[
        u8, PAGE_BYTES - _ENTRIES_BYTES - _PROCESSOR_BYTES - 3 * _FRAME_BYTES - 20 * 8
    ]  # the application's own
    saved: Context
    slice_end_frame: ExceptionFrame
    event_frame: ExceptionFrame
    exception_frame: ExceptionFrame  # must be last: the processor pushes it


class State(IntEnum):
    """Of an environment, in `EnvironmentStatus.state`."""

    FREE = 0
    RUNNABLE = 1
    SLEEPING = 2


@struct(volatile=True)
class EnvironmentStatus:
    """One environment, as everybody may see it."""

    name: Array[u8, NAME_BYTES]
    state: u32
    frames: u32  # that it owns, page tables included


@struct(volatile=True)
class NetworkStatistics:
    """Counts of Ethernet frames since boot."""

    received: u64  # by the device
    delivered: u64  # into a ring
    unmatched: u64  # dropped: nobody had bound the network
    ring_full: u64  # dropped: the application's ring had no free slot
    malformed: u64  # answers of the device that make no sense
    transmitted: u64  # given to the device
    queue_full: u64  # refused: the device was behind


@struct(volatile=True)
class SystemPage:
    """The kernel's book-keeping, mapped read-only into every environment at SYSTEM_ADDRESS."""

    timestamp_frequency: u64  # timestamp-counter ticks per second
    slice_ticks: u64  # length of a time slice in timer ticks of one nanosecond
    frames: u64  # of the machine
    frames_free: u64
    network_present: u32
    mac: Array[u8, 6]
    reserved: Array[u8, 6]
    network: NetworkStatistics
    slice_owners: Array[u8, SLICES]  # the environment that owns each slice; ENVIRONMENTS: nobody
    slice_generations: Array[u32, SLICES]  # moves on whenever the slice changes its owner
    excess: Array[u32, ENVIRONMENTS]  # slices that each environment will lose because it ended others late
    environments: Array[EnvironmentStatus, ENVIRONMENTS]
    unused: Array[u8, PAGE_BYTES - 48 - 7 * 8 - 5 * SLICES - ENVIRONMENTS * (NAME_BYTES + 12)]


@struct
class ReceiveSlot:
    """One received Ethernet frame, without its check sequence."""

    length: u32  # bytes of `data` that are valid
    reserved: u32
    data: Array[u8, 2040]


@struct(volatile=True)
class RingIndices:
    """Both count up and wrap at 2**32; the slot of index i is i % RING_SLOTS. Equal: the ring is empty."""

    producer: u32  # written by the kernel after the slot is complete
    reserved_producer: Array[u8, 60]
    consumer: u32  # written by the application after it has read the slot
    reserved_consumer: Array[u8, PAGE_BYTES - 64 - 4]


@struct(align=4096)
class ReceiveRing:
    """Received frames, in memory of the application: page-aligned, written by the kernel, `network_bind`s argument."""

    indices: RingIndices
    slots: Array[ReceiveSlot, RING_SLOTS]


assert sizeof(EnvironmentPage) == PAGE_BYTES and sizeof(SystemPage) == PAGE_BYTES  # nothing else may share these pages


@inline
def environment_page() -> EnvironmentPage:
    """The caller's environment page."""
    return Ptr[EnvironmentPage](ENVIRONMENT_ADDRESS)[0]


@inline
def system_page() -> SystemPage:
    """The kernel's book-keeping. Reading it is free, writing it is a page fault."""
    return Ptr[SystemPage](SYSTEM_ADDRESS)[0]


@inline
def frame_entry(frame: u64) -> FrameEntry:
    """What is known of a frame, which must be one of the machine's. Reading it is free."""
    return Ptr[FrameEntry](FRAMES_ADDRESS + frame * sizeof(FrameEntry))[0]


@inline
def table_entry(virtual_page: u64) -> TableEntry:
    """How a page below USER_LIMIT / PAGE_BYTES is mapped in the caller's address space. Large pages do not show here."""
    return volatile_load(Ptr[TableEntry](ENTRIES_ADDRESS) + virtual_page)


@inline
def call0(number: u64) -> i64:
    """A system call without arguments."""
    return asm("syscall", "={rax},{rax},~{rcx},~{r11},~{memory}", number, returns=i64)


@inline
def call1(number: u64, first: u64) -> i64:
    """A system call with one argument."""
    return asm("syscall", "={rax},{rax},{rdi},~{rcx},~{r11},~{memory}", number, first, returns=i64)


@inline
def call2(number: u64, first: u64, second: u64) -> i64:
    """A system call with two arguments."""
    return asm("syscall", "={rax},{rax},{rdi},{rsi},~{rcx},~{r11},~{memory}", number, first, second, returns=i64)


@inline
def call3(number: u64, first: u64, second: u64, third: u64) -> i64:
    """A system call with three arguments."""
    return asm(
        "syscall",
        "={rax},{rax},{rdi},{rsi},{rdx},~{rcx},~{r9},~{r10},~{r11},~{memory}",
        number,
        first,
        second,
        third,
        returns=i64,
    )


@inline
def call4(number: u64, first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """A system call with four arguments."""
    return asm(
        "syscall",
        "={rax},{rax},{rdi},{rsi},{rdx},{r8},~{rcx},~{r9},~{r10},~{r11},~{memory}",
        number,
        first,
        second,
        third,
        fourth,
        returns=i64,
    )


@inline
def null() -> i64:
    """Enters the kernel and returns 0."""
    return call0(Call.NULL)


@inline
def console_write(text: bytes) -> i64:
    """Writes at most CONSOLE_WRITE_LIMIT bytes to the serial port. Returns the count, BAD_ARGUMENT when longer,
    BAD_ADDRESS.
    """
    if len(text) == 0:
        return 0
    return call2(Call.CONSOLE_WRITE, u64(addr(text[0])), len(text))


@inline
@noreturn
def exit(status: i64) -> None:
    """Ends the caller. When it is environment 0 the machine ends with `status` (its low 8 bits reach the host's
    shell).
    """
    call1(Call.EXIT, u64(status))
    unreachable()


@inline
def frame_claim(frame: u64) -> i64:
    """Claims the free frame of that number (physical address / PAGE_BYTES), or ANY, filled with zeros. Returns the
    number, NO_FRAMES, BUSY when it is not free or BAD_ARGUMENT when the machine has none of that number.
    """
    return call1(Call.FRAME_CLAIM, frame)


@inline
def frame_release(frame: u64) -> i64:
    """Gives up a frame of the caller's, which is unmapped. Returns 0, NOT_OWNER, or IN_USE when somebody has bound it
    (break it first) or it is pinned.
    """
    return call1(Call.FRAME_RELEASE, frame)


@inline
def frame_break(frame: u64) -> i64:
    """Ends bindings of others to a frame of the caller's, with their mappings, and makes all its capabilities stale.

    Returns 0 when none is left, 1 when there are more than this call had time for: make it again; NOT_OWNER.
    """
    return call1(Call.FRAME_BREAK, frame)


@inline
def frame_pin(frame: u64, pinned: u64) -> i64:
    """Pins a frame of the caller's (1), so that it stays where it is, or ends that (0). Returns 0, NOT_OWNER,
    BAD_ARGUMENT or NO_ROOM after PINNED_FRAMES.
    """
    return call2(Call.FRAME_PIN, frame, pinned)


@inline
def frame_guarantee(frame: u64, guaranteed: u64) -> i64:
    """Counts a frame of the caller's among those that are never taken by force (1), or no longer (0). Returns 0,
    NOT_OWNER, BAD_ARGUMENT or NO_ROOM after GUARANTEED_FRAMES.
    """
    return call2(Call.FRAME_GUARANTEE, frame, guaranteed)


@inline
def frame_give(frame: u64, environment: u64) -> i64:
    """Makes `environment` the owner of a frame of the caller's, with its contents; the caller's mapping ends. Returns
    0, NOT_OWNER, NO_ENVIRONMENT, or IN_USE when it is bound or has a flag.
    """
    return call2(Call.FRAME_GIVE, frame, environment)


@inline
def tlb_insert(virtual_page: u64, frame: u64, rights: u64) -> i64:
    """Maps the caller's `frame` at `virtual_page` (address / PAGE_BYTES), in place of what was mapped there.

    `rights`: `Right` bits and a protection key; only the low byte counts. NONE removes the mapping and ignores `frame`.
    Returns 0, NO_NODE, NOT_OWNER, IN_USE when the frame is mapped at another page or the page is in a large one, or
    BAD_ARGUMENT for a page at or above USER_LIMIT and for WRITE with EXECUTE.
    """
    return call3(Call.TLB_INSERT, virtual_page, frame, rights)


@inline
def capability_mint(name: u64, rights: u64) -> i64:
    """The MAC of a capability of the caller's resource `name` (Kind.FRAME << NAME_INDEX_BITS | frame). `rights`:
    `Right` bits, and from bit 32 on the resource's generation. Returns the MAC, NOT_OWNER, STALE when the generation is
    not the present one, or BAD_ARGUMENT.
    """
    return call2(Call.CAPABILITY_MINT, name, rights)


@inline
def capability_weaken(name: u64, rights: u64, mac: u64, fewer: u64) -> i64:
    """The MAC of a capability with `fewer` rights (and the same generation) than the one given. Everybody may do this.
    Returns the MAC, FORGED or BAD_ARGUMENT.
    """
    return call4(Call.CAPABILITY_WEAKEN, name, rights, mac, fewer)


@inline
def bind(slot: u64, name: u64, rights: u64, mac: u64) -> i64:
    """Checks a capability and notes it in `slot` (below BINDINGS), where its use costs no check. Returns 0, FORGED,
    STALE, IN_USE when the slot is taken or BAD_ARGUMENT.
    """
    return call4(Call.BIND, slot, name, rights, mac)


@inline
def unbind(slot: u64) -> i64:
    """Ends a binding and its mapping. Returns 0, also when there is none, or BAD_ARGUMENT."""
    return call1(Call.UNBIND, slot)


@inline
def tlb_insert_bound(virtual_page: u64, slot: u64, rights: u64) -> i64:
    """Maps the frame that `slot` binds at `virtual_page`, in place of what was mapped there. A binding maps at one page.

    Returns 0, NO_NODE, NOT_PERMITTED when nothing is bound there or it allows less, IN_USE when it is mapped at another
    page or the page is in a large one, or BAD_ARGUMENT.
    """
    return call3(Call.TLB_INSERT_BOUND, virtual_page, slot, rights)


@inline
def tlb_insert_batch(virtual_page: u64, frames: Span[u64], rights: u64) -> i64:
    """Maps up to BATCH frames of the caller's at the pages from `virtual_page` on, as `tlb_insert` would, until one
    cannot be mapped. Returns how many were mapped; if none, the error
    of the first (NO_NODE, NOT_OWNER, IN_USE), BAD_ADDRESS or BAD_ARGUMENT.
    """
    if len(frames) == 0:
        return 0
    return call4(Call.TLB_INSERT_BATCH, virtual_page, u64(addr(frames[0])), len(frames), rights)


@inline
def tlb_insert_large(virtual_page: u64, first_frame: u64, rights: u64) -> i64:
    """Maps LARGE_PAGES frames of the caller's from `first_frame` on at `virtual_page`, as one entry of the processor's;
    both are multiples of LARGE_PAGES. `tlb_remove` with any page of it removes it.

    Returns 0, NOT_OWNER, IN_USE (a frame is mapped, or there is a table node: remove it first) or BAD_ARGUMENT.
    """
    return call3(Call.TLB_INSERT_LARGE, virtual_page, first_frame, rights)


@inline
def tlb_protect(virtual_page: u64, count: u64, rights: u64) -> i64:
    """Changes what `count` (1 to BATCH) mappings from `virtual_page` on allow. Pages that are not mapped are left alone.

    Returns 0, BAD_ARGUMENT, or NOT_OWNER when one is a mapping of the kernel's or its binding allows less: the pages
    before it are changed then.
    """
    return call3(Call.TLB_PROTECT, virtual_page, count, rights)


@inline
def tlb_remove(virtual_page: u64, count: u64) -> i64:
    """Removes `count` (1 to BATCH) mappings from `virtual_page` on; pages that are not mapped are left alone. Returns 0
    or BAD_ARGUMENT.
    """
    return call2(Call.TLB_REMOVE, virtual_page, count)


@inline
def tlb_node(virtual_page: u64, frame: u64) -> i64:
    """Donates the caller's `frame` as the table node of the 512 pages around `virtual_page`.

    The frame must not be mapped nor bound. Its contents are lost and it cannot be mapped any more. Returns 0 (also
    when there is a node already: the frame is then left alone), NOT_OWNER, IN_USE when a large page is there, or
    BAD_ARGUMENT.
    """
    return call2(Call.TLB_NODE, virtual_page, frame)


@inline
def tlb_node_remove(virtual_page: u64) -> i64:
    """Takes back the table node of the 512 pages around `virtual_page`, none of which may be mapped: the frame is an
    ordinary one again. Returns its number, NO_NODE, IN_USE or BAD_ARGUMENT.
    """
    return call1(Call.TLB_NODE_REMOVE, virtual_page)


@inline
def yield_to(environment: u64) -> i64:
    """Gives the rest of the slice to `environment` (or ANY_ENVIRONMENT), of which the low 8 bits count. Returns 0 when
    the caller runs again, or NOT_RUNNABLE at once. All registers but `rsp` are destroyed: nothing has to be saved.
    """
    return asm(
        "syscall",
        "={rax},{rax},{rdi},~{rdi},~{rbx},~{rcx},~{rdx},~{rsi},~{rbp},~{r8},~{r9},~{r10},~{r11},~{r12},~{r13},~{r14},"
        "~{r15},~{memory},~{flags}",
        u64(Call.YIELD_TO),
        environment,
        returns=i64,
    )


@inline
def wait(deadline: u64) -> i64:
    """Sleeps until an event is pending that is not masked, or until the timestamp counter has passed `deadline`
    (FOREVER: no deadline).

    Returns the pending events that are not masked: 0 means that the deadline passed. Deadlines are checked at slice
    boundaries. BUSY: the caller serves a transfer, so its caller's time would go nowhere.
    """
    return call1(Call.WAIT, deadline)


@inline
def network_bind(ring: ReceiveRing) -> i64:
    """Receives every Ethernet frame of the network device into `ring`, whose pages must be the caller's own and mapped
    writable.

    The kernel keeps to the frames behind them, whatever is mapped there later. Binding again replaces the ring; both
    indices start at 0. Returns 0, NO_NETWORK, BUSY, BAD_ADDRESS or NOT_OWNER.
    """
    return call1(Call.NETWORK_BIND, u64(addr(ring)))


@inline
def network_transmit(address: u64, length: u64) -> i64:
    """Sends the Ethernet frame of `length` bytes (14 to TRANSMIT_LIMIT) at `address`; the memory is free again on
    return.

    Returns 0, NO_NETWORK, BUSY (the network is bound to another environment), BAD_ARGUMENT, BAD_ADDRESS or QUEUE_FULL.
    """
    return call2(Call.NETWORK_TRANSMIT, address, length)


@inline
def slice_claim(position: u64) -> i64:
    """Claims the time slice at `position` (0 to SLICES - 1), or ANY. Returns the position, BUSY when it has an owner,
    NO_SLICES or BAD_ARGUMENT.
    """
    return call1(Call.SLICE_CLAIM, position)


@inline
def slice_release(position: u64) -> i64:
    """Gives up a slice. Its owner may give up the one that runs: it ends at the next tick. Returns 0 or NOT_OWNER."""
    return call1(Call.SLICE_RELEASE, position)


@inline
def slice_give(position: u64, environment: u64) -> i64:
    """Makes `environment` the owner of a slice of the caller's. Returns 0, NOT_OWNER or NOT_RUNNABLE when there is no
    such environment.
    """
    return call2(Call.SLICE_GIVE, position, environment)


@struct
class Message:
    """What the stubs of transfers carry over, in registers: `rsi rdx r8 r9 r10 r12 r13 r14`."""

    words: Array[u64, 8]


RETURN_ENTRY = ENVIRONMENT_ADDRESS + offsetof(EnvironmentPage, "transfer_return_entry")
TRANSFER_STACK = ENVIRONMENT_ADDRESS + offsetof(EnvironmentPage, "transfer_stack")


@naked
def transfer(environment: u64, message: Message) -> i64:
    """Calls `environment` (its low 8 bits count) and waits for its answer, which replaces `message`.

    It continues at its `transfer_entry` with the caller's number in `rax` and runs in the caller's slices until its
    `transfer_back`. No other register of the caller's reaches it. Returns the callee's number; NOT_RUNNABLE, NO_ENTRY
    or BUSY (it serves or waits for another), and nothing has happened; or PARTNER_LOST when it ended before it answered.
    """
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        push rsi
        push qword ptr [{TRANSFER_STACK}]
        mov qword ptr [{TRANSFER_STACK}], rsp
        lea rax, [rip + 2f]
        mov dword ptr [{RETURN_ENTRY}], eax
        mov rdx, qword ptr [rsi + 8]
        mov r8, qword ptr [rsi + 16]
        mov r9, qword ptr [rsi + 24]
        mov r10, qword ptr [rsi + 32]
        mov r12, qword ptr [rsi + 40]
        mov r13, qword ptr [rsi + 48]
        mov r14, qword ptr [rsi + 56]
        mov rsi, qword ptr [rsi]
        xor ebx, ebx
        xor ebp, ebp
        xor r15d, r15d
        mov eax, {Call.TRANSFER}
        syscall
    2:
        mov rsp, qword ptr [{TRANSFER_STACK}]
        pop qword ptr [{TRANSFER_STACK}]
        pop rdi
        mov qword ptr [rdi], rsi
        mov qword ptr [rdi + 8], rdx
        mov qword ptr [rdi + 16], r8
        mov qword ptr [rdi + 24], r9
        mov qword ptr [rdi + 32], r10
        mov qword ptr [rdi + 40], r12
        mov qword ptr [rdi + 48], r13
        mov qword ptr [rdi + 56], r14
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    """)


@inline
def transfer_back() -> i64:
    """Answers the caller: it continues at its `transfer_return_entry` with this environment's number in `rax` and all
    other registers as they are here. After an asynchronous transfer, or when the caller has ended: continues with what
    this environment did before it was called. Returns NO_CALLER, or not at all.
    """
    return call0(Call.TRANSFER_BACK)


@naked
def transfer_asynchronous(environment: u64, message: Message) -> i64:
    """Gives the rest of the slice and `message` to `environment`, which continues at its `transfer_asynchronous_entry`
    with the caller's number in `rax`, and nothing else of the caller's. Returns 0 when the caller runs again; at once
    NOT_RUNNABLE, NO_ENTRY or BUSY (it serves or waits for another).
    """
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov rdx, qword ptr [rsi + 8]
        mov r8, qword ptr [rsi + 16]
        mov r9, qword ptr [rsi + 24]
        mov r10, qword ptr [rsi + 32]
        mov r12, qword ptr [rsi + 40]
        mov r13, qword ptr [rsi + 48]
        mov r14, qword ptr [rsi + 56]
        mov rsi, qword ptr [rsi]
        xor ebx, ebx
        xor ebp, ebp
        xor r15d, r15d
        mov eax, {Call.TRANSFER_ASYNCHRONOUS}
        syscall
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    """)


@inline
def floating_point(wanted: u64) -> i64:
    """1: the caller may use floating-point and vector registers (x87, SSE, AVX) from now on; it finds them as after a
    reset. 0: not any more; they are lost. Without them their use is exception 7. Yields and transfers do not carry
    them over, but the caller finds its own again. Returns 0 or BAD_ARGUMENT.
    """
    return call1(Call.FLOATING_POINT, wanted)


@inline
@noreturn
def exception_return() -> None:
    """Continues where `exception_frame` says, with `rcx` and `r11` from there and `rax` from its `address`; all other
    registers are as they are. Needed only for single steps: with the trap flag set no instruction of the way back is
    stepped into. Store the entry again before.
    """
    call0(Call.EXCEPTION_RETURN)
    unreachable()


@inline
def line_bind(line: u64) -> i64:
    """Makes the caller the owner of a device line (0 to LINES - 1), which from now on may fire: it is then masked, its
    bit set in `EnvironmentPage.lines`, and LINE is pending. Returns 0, BUSY, NOT_PERMITTED or BAD_ARGUMENT.
    """
    return call1(Call.LINE_BIND, line)


@inline
def line_unmask(line: u64) -> i64:
    """Lets a line of the caller's fire again, at once if its device still wants to. Returns 0, NOT_OWNER or
    BAD_ARGUMENT.
    """
    return call1(Call.LINE_UNMASK, line)


@inline
def console_read() -> i64:
    """The next byte typed on the console, for the owner of CONSOLE_LINE, or anybody while nobody owns it. Returns the
    byte, NO_INPUT or BUSY.
    """
    return call0(Call.CONSOLE_READ)


@inline
def shutdown(status: i64) -> i64:
    """Ends the machine with `status`. Only for environment 0; the others get NOT_PERMITTED."""
    return call1(Call.SHUTDOWN, u64(status))
