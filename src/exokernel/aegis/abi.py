# SPDX-License-Identifier: MIT
"""All that an application knows of Aegis: addresses, call numbers, errors, the pages it shares with the kernel.

Both sides import this file; it must never import anything of the kernel, and nothing in it may need a kernel to be
compiled. A call is `syscall` with its number in `al`, arguments in `rdi`, `rsi`, `rdx`, `r8`, the result in `rax`
(negative: an `Error`). `rcx` and `r11` are destroyed, every other register is preserved, except `r9` and `r10` by
`frame_claim`, `frame_claim_table`, `tlb_insert`, `tlb_insert_bound` and `tlb_protect`, and all by `yield_to` and the
transfers. Every call does a bounded amount of work; only `wait`, `yield_to` and the transfers give the processor away.
"""

from enum import IntEnum

from exokernel.metal import *

# An application's address space. Everything that it can map lies below USER_LIMIT.
PAGE_BYTES = 4096
ENVIRONMENT_ADDRESS = 0x200000  # EnvironmentPage: readable and writable
SYSTEM_ADDRESS = 0x201000  # SystemPage: readable
STACK_TOP = 0x3F0000  # the first stack ends here; the pages on both sides of it are not mapped
STACK_BYTES = 0x10000
IMAGE_ADDRESS = 0x400000
USER_LIMIT = 0x3F800000
FRAMES_ADDRESS = 0x80400000  # FrameEntry n describes frame n: readable
ENTRIES_ADDRESS = 0x3FE00000  # TableEntry n maps page n of the application: readable, also where there is no table node

ENVIRONMENTS = 64
SLICES = 64
NAME_BYTES = 32

CONSOLE_WRITE_LIMIT = 4096  # bytes per call
TRANSMIT_LIMIT = 1514  # bytes of one Ethernet frame, without its check sequence
FILTER_ATOMS = 16  # of one packet filter
FILTER_SHIFTS = 4  # among them
RING_SLOTS = 128
SEND_LIMIT = 16  # slots per call
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
BUNDLE_MAGIC = int.from_bytes(b"EXOBUNDL", "little")
MAY_EXECUTE = 1  # in BundleSegment.flags
MAY_WRITE = 2


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
    FRAME_CLAIM_TABLE = 11
    FRAME_CLAIM_COPY = 12
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
    SLICE_TAKE = 31
    ENVIRONMENT_CREATE = 51
    ENVIRONMENT_GIVE = 52
    ENVIRONMENT_NODE = 53
    ENVIRONMENT_SHARE = 54
    ENVIRONMENT_START = 55
    ENVIRONMENT_END = 56
    REVOKE = 57
    PROTECTION_KEYS = 58
    FILTER_BIND = 59
    FILTER_REMOVE = 60
    NETWORK_SEND = 61
    CAPTURE_BIND = 62
    HANDLER_LOAD = 70
    HANDLER_ATTACH = 71
    HANDLER_ALLOW = 72
    HANDLER_COUNT = 73
    HANDLER_REMOVE = 74
    HANDLER_CONTINUE = 75


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
    NOT_PERMITTED = -11  # only environment 0 may do this, or nothing is bound that allows it
    NO_SLICES = -40  # every position has an owner
    NO_ENTRY = -41  # the environment named has stored no entry for transfers
    PARTNER_LOST = -42  # the environment that was called ended before it answered
    NO_CALLER = -43  # nobody waits for an answer
    NO_INPUT = -44  # nothing has been typed
    IN_USE = -12  # the frame or node is mapped, bound, pinned or guaranteed
    NO_ROOM = -13  # the limit of what one environment may have is reached
    NO_ENVIRONMENT = -14  # the environment named does not exist
    FORGED = -15  # this is no capability
    NO_KEYS = -17  # the processor has no protection keys
    REFUSED = -20  # the handler: see `EnvironmentPage.handler_end`
    STALE = -16  # the resource has changed its owner or was broken since the capability was minted


class Right(IntEnum):
    """What a mapping allows. A page is never both writable and executable."""

    NONE = 0  # removes the mapping
    READ = 1
    WRITE = 2  # includes READ
    EXECUTE = 4  # includes READ
    INHERIT = 8  # of `environment_share` alone: the frame becomes the child's when its owner ends


NAME_INDEX_BITS = 56
KEY_SHIFT = 4  # bits 4 to 7 of a mapping's rights are its protection key


class Kind(IntEnum):
    """Of a resource that has a name: the name is the kind, shifted by NAME_INDEX_BITS, and a number."""

    FRAME = 1
    SLICE = 2
    ENVIRONMENT = 3
    LINE = 4  # its owner, for minting, is environment 0
    AUTHORITY = 5  # over an `Authority`; environment 0's
    FILTER = 6  # a packet filter's number
    CAPTURE = 7  # number 0: READ, to see all frames that come; WRITE, also those that go; environment 0's


class Authority(IntEnum):
    """What `revoke` takes back: the number in the name of an authority, and the index of what the page says of it."""

    MEMORY = 0  # frames
    PROCESSOR = 1  # slices


class FrameKind(IntEnum):
    """What a frame is used as, in `FrameEntry.kind`."""

    NONE = 0
    DATA = 1  # its owner may map it
    NODE = 2  # a page table, or another page that only the kernel writes
    PUBLIC = 3  # of the bundle: anybody may map it, any number of times, but not to write
    SPARE = 4  # with old contents: it can only become a node, or be released


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
    pins: u32  # uses by the kernel: received frames are written to it, or the device reads it
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
    CHILD_ENDED = 2  # an environment that this one created
    REVOKE = 4  # see `EnvironmentPage.wanted`
    REPOSSESSED = 8  # see `EnvironmentPage.lost`
    HANDLER = 32  # a handler woke this environment, or one of its own was ended: see `EnvironmentPage.handler_end`
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


@struct(volatile=True)
class HandlerEnd:
    """The last refusal or end of a handler of this environment's."""

    count: u64  # of both so far
    handler: u32  # its number; NOWHERE: it was refused
    reason: u32  # `ebpf.Reason`
    instruction: u32
    reserved: u32


_ENTRIES_BYTES = 4 + 4 + 8 + 8 + 8 + NAME_BYTES
_PROCESSOR_BYTES = 6 * 4 + 2 * 8
_FRAME_BYTES = 9 * 8
LOST = 32  # names in the repossession vector
_REVOCATION_BYTES = (2 + 2 + 1 + LOST) * 8
ENVIRONMENT_FRAMES = 8  # that an environment is made of


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
    wanted: Array[u64, 2]  # how many frames, and slices, are to be given back until `wanted_until`; 0: none
    wanted_until: Array[u64, 2]  # timestamps; from then on the kernel takes what is missing
    lost_count: u64  # what was taken so far: n is named in lost[n % LOST]
    lost: Array[u64, LOST]  # the repossession vector: names, as in capabilities
    handler_end: HandlerEnd
    application: Array[
        u8, PAGE_BYTES - _ENTRIES_BYTES - 24 - _PROCESSOR_BYTES - _REVOCATION_BYTES - 3 * _FRAME_BYTES - 20 * 8
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
    EMBRYO = 3  # created, not yet started
    ENDED = 4  # its frames are on their way back; then it is FREE


@struct(volatile=True)
class EnvironmentStatus:
    """One environment, as everybody may see it."""

    name: Array[u8, NAME_BYTES]
    state: u32
    frames: u32  # that it owns, page tables included
    generation: u32  # moves on whenever an environment of this number is created
    status: u32  # with which the last one ended


@struct(volatile=True)
class NetworkStatistics:
    """Counts of Ethernet frames since boot."""

    received: u64  # by the device
    delivered: u64  # into a ring
    unmatched: u64  # dropped: no filter matched
    ring_full: u64  # dropped: the ring had no free slot; `RingIndices.dropped` says whose
    malformed: u64  # answers of the device that make no sense
    transmitted: u64  # given to the device, of these
    uncopied: u64  # from where they lay
    queue_full: u64  # refused: the device was behind
    searched: u64  # received while the filters' code was being written
    captured: u64  # copies for those who capture


@struct(volatile=True)
class EventCounts:
    """Since boot."""

    interrupts: u64  # of the network device
    lines: u64  # of device lines that environments own
    wakes: u64  # sleeps that ended, by an event or a deadline
    created: u64  # environments, by applications
    ended: u64  # environments
    repossessed: u64  # frames and slices taken by force


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
    events: EventCounts
    slice_owners: Array[u8, SLICES]  # the environment that owns each slice; ENVIRONMENTS: nobody
    slice_generations: Array[u32, SLICES]  # moves on whenever the slice changes its owner
    excess: Array[u32, ENVIRONMENTS]  # slices that each environment will lose because it ended others late
    environments: Array[EnvironmentStatus, ENVIRONMENTS]
    bundle_frame: u64  # where the bundle begins
    bundle_frames: u64  # and how many frames it has
    trace_frame: u64  # where the trace ring begins (trace_abi)
    trace_frames: u64  # and how many frames it has; 0: this kernel records nothing
    trace_written: u64  # records since boot
    handlers_frame: u64  # where the table of handlers begins (handler_abi); anybody may map it, to read
    unused: Array[u8, PAGE_BYTES - 48 - 22 * 8 - 5 * SLICES - ENVIRONMENTS * (NAME_BYTES + 20)]


@struct
class ReceiveSlot:
    """One received Ethernet frame, without its check sequence."""

    length: u32  # bytes of `data` that are valid
    # Of a captured frame the timestamp's low half when it passed; of what a handler copied what it says; else 0.
    tag: u32
    data: Array[u8, 2040]


@struct
class SendSlot:
    """One Ethernet frame, to be sent from where it lies by `network_send`; at a multiple of its size, so in one page."""

    length: u32  # bytes of `data`
    busy: u32  # the kernel makes it 1 when the slot is taken, and 0 when the device has read it
    data: Array[u8, 2040]


@struct(volatile=True)
class RingIndices:
    """Both count up and wrap at 2**32; the slot of index i is i % RING_SLOTS. Equal: the ring is empty."""

    producer: u32  # written by the kernel after the slot is complete
    dropped: u32  # frames that found no free slot since the ring was bound
    reserved_producer: Array[u8, 56]
    consumer: u32  # written by the application after it has read the slot
    reserved_consumer: Array[u8, PAGE_BYTES - 64 - 4]


@struct(align=4096)
class ReceiveRing:
    """Received frames, in memory of the application: page-aligned, written by the kernel, `network_bind`s argument."""

    indices: RingIndices
    slots: Array[ReceiveSlot, RING_SLOTS]


class AtomKind(IntEnum):
    COMPARE = 0  # field & mask == value
    SHIFT = 1  # the atoms behind it count their offsets from (field & mask) << value bytes further on


@struct
class Atom:
    """One condition of a packet filter, which is a conjunction of up to FILTER_ATOMS (paper 5.6, DPF). A byte of
    which bits are tested, and all of a shift's field, must lie in the frame, or the filter does not match. Masks and
    values are numbers as they are on the wire, first byte highest.
    """

    offset: u16  # bytes from the frame's first byte, or from where the last shift led
    width: u8  # of the field: 8, 16 or 32 bits
    kind: u8
    mask: u32  # not 0
    value: u32  # no bit that is not in the mask; of a shift: 0 to 7


@struct
class BundleHeader:
    """The beginning of the bundle, before its programs; its files follow them (docs/decisions/0001-first-light.md)."""

    magic: u64
    total_bytes: u64
    program_count: u32
    file_count: u32
    slice_ticks: u32  # length of a time slice in timer ticks (ns), 0: the default
    boot_count: u32  # how many programs, from the first on, become environments at boot
    reserved: Array[u64, 4]


@struct
class BundleSegment:
    virtual: u64
    offset: u64  # from the bundle's start
    file_bytes: u64
    memory_bytes: u64
    flags: u64


@struct
class BundleProgram:
    name: Array[u8, NAME_BYTES]
    entry: u64
    segment_count: u32
    reserved: u32
    segments: Array[BundleSegment, 4]


assert sizeof(EnvironmentPage) == PAGE_BYTES and sizeof(SystemPage) == PAGE_BYTES  # nothing else may share these pages
