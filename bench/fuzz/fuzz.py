# SPDX-License-Identifier: MIT
"""The kernel's fuzzer: an application that makes random calls, drawn from the interface table by the kinds of their
arguments, and checks after each what can be seen of the kernel's promises.

Several environments run it. Environment 0 makes no random calls: it is the auditor of what the kernel shows of the
whole machine, and ends the machine when the others are done. Every other environment draws from a sequence of its own
that SEED and its number decide; under `-icount shift=0` two runs are the same. They pass capabilities to each other as
the messages of transfers; the auditor passes those that only it can mint, of authorities, lines and captures. They make
children, which run a few instructions or none, and end them. They bind filters of a few kinds, which lie in each other or
not, some by capabilities for others' filters. They load handlers, and attach them to filters: the frames that come meanwhile
run them. It prints one line at its end:
`fuzzer N calls C refused R checks K served S children H handlers L runs W digest D`, and `violation ...` when a promise was
broken.

Checked after each call: the answer is a result or an error that the table names for this call. Every CHECK_EVERY calls,
and after each that maps: what a page of the sandbox leads to is a frame of ours that knows of it, or one that a binding of
ours names with the right to it, or a public one that is not writable; it is never writable and executable, and shows
nothing of anybody else's; a fresh frame is clear. Now and then: our frames in the frame table, in their ring and in the
counter are the same. By the auditor: the frames of all environments and the free ones are all there are, no free frame
is in use, each chain of bindings and each slice leads to an environment that is there, generations only grow, and
environments that ended own nothing. Each handler is somebody's who is there.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom, Authority, Call, Error, FrameKind, Kind, Right, State
from exokernel.aegis.handler_abi import (
    HANDLERS,
    HandlerCount,
    HandlerPart,
    HandlerRequest,
    HandlerTable,
)
from exokernel.exos import aegis, ash, exceptions
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.host.interface import INTERFACE, Description
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import (
    Array,
    Ptr,
    addr,
    aligned,
    asm,
    atomic_and,
    i64,
    naked,
    sizeof,
    struct,
    u8,
    u32,
    u64,
    volatile_load,
    volatile_store,
)

SEED = 1
CALLS = 30_000  # made by each environment
CHECK_EVERY = 64
RENEW_EVERY = 16  # calls: a capability that is not stale
MAKE_EVERY = 256  # calls: a child that can run

# ---- the interface, as tables

NEVER = {"EXIT", "SHUTDOWN", "EXCEPTION_RETURN"}  # they do not come back; the adversaries try them
MESSAGES = {"TRANSFER", "TRANSFER_ASYNCHRONOUS"}  # carry a capability behind their argument
KINDS = (
    "word", "page", "frame", "rights", "environment", "address", "length", "timestamp", "slice", "count", "truth",
    "slot", "name", "capability", "mac", "fewer", "how", "new", "parts", "instruction", "filter", "handler", "request",
)  # fmt: skip
WORD, PAGE, FRAME, RIGHTS, ENVIRONMENT, ADDRESS, LENGTH, TIMESTAMP, SLICE, COUNT_OF_PAGES, TRUTH, *_CAPABLE = range(23)
SLOT, NAME, CAPABILITY, MAC, FEWER, HOW, NEW, PARTS, INSTRUCTION, FILTER, HANDLER, REQUEST = _CAPABLE
DRAWN = [description for description in INTERFACE if description.call.name not in NEVER]
COUNT = len(DRAWN)
numbers: Final[Array[u8, COUNT]] = Array[u8, COUNT]([description.call for description in DRAWN])


def _kind(description: Description, number: int) -> int:
    if number < len(description.arguments):
        return KINDS.index(description.arguments[number].values)
    return (WORD, NAME, CAPABILITY, MAC)[number] if description.call.name in MESSAGES else WORD


kinds: Final[Array[u8, 4 * COUNT]] = Array[u8, 4 * COUNT]([_kind(d, i) for d in DRAWN for i in range(4)])
allowed: Final[Array[u64, COUNT]] = Array[u64, COUNT]([  # bit n: may answer error -n
    sum(1 << -Error[name] for name in {*description.errors, "BAD_ARGUMENT"}) for description in DRAWN
])  # fmt: skip
LAST_ERROR = -min(Error)

# ---- the sandbox: pages that only random calls map

SANDBOX = 0x10000000 // abi.PAGE_BYTES
NODES = 4
PAGE_PART = 5  # which of the frames of an environment is its environment page
PAGES = 512 * NODES
RING = SANDBOX + 1536  # here a receive ring is mapped at the start
RING_PAGES = sizeof(abi.ReceiveRing) // abi.PAGE_BYTES
POOL = 64
TAG = 2040 // 8  # the word of a frame that says whose it is: no received frame reaches it
pool: Array[u32, POOL] = Array[u32, POOL]()
batch: Array[u64, abi.BATCH] = Array[u64, abi.BATCH]()  # frame numbers, an argument
BOOT_FRAMES = 0x4000
FRAMES_PER_AUDIT = 256
program: Array[u8, BOOT_FRAMES] = Array[u8, BOOT_FRAMES]()  # 1: a frame that the kernel loaded this program into
# A fuzzer's: of a frame that was claimed and never written to, so that it must be clear, while this is its generation.
# The auditor's: the last that was seen.
generations: Array[u32, BOOT_FRAMES] = Array[u32, BOOT_FRAMES]()
text: Array[u8, 4096] = aligned(
    4096, Array[u8, 4096](2 * ((60).to_bytes(4, "little") + b"." * 2044))
)  # and slots to send
FILTERS = 32
_FIELDS = ((12, 16, 0xFFFF), (12, 8, 0xF0), (23, 8, 0xFF), (26, 32, 0xFFFF_FFFF))
_VALUES = [(_FIELDS[i % 4], 0x11111111 * (1 + i // 4)) for i in range(FILTERS)]
atoms: Array[Atom, FILTERS] = Array[Atom, FILTERS](
    [Atom(offset=o, width=w, kind=0, mask=m, value=m & value) for (o, w, m), value in _VALUES]
)  # any few side by side are a filter


@struct
class Capability:
    name: u64
    rights: u64
    mac: u64


CAPABILITIES = 16
LAST_SLOT = abi.BINDINGS - 1
AUTHORITY_SLOT = abi.BINDINGS - 4  # and the next
CAPTURE_SLOT = abi.BINDINGS - 2
SLOTS = 24  # of the binding page, that are mostly used
CHILDREN = 8
capabilities: Array[Capability, CAPABILITIES] = Array[Capability, CAPABILITIES](
    [Capability() for _ in range(CAPABILITIES)]
)
inbox: Array[u64, 3] = Array[u64, 3]()  # a capability that came with a transfer
bound: Array[u64, abi.BINDINGS] = Array[u64, abi.BINDINGS]()  # what we have bound in each slot: its name, or 0
bound_rights: Array[u8, abi.BINDINGS] = Array[u8, abi.BINDINGS]()
filters: Array[u64, FILTERS] = Array[u64, FILTERS]()  # what `filter_bind` answered; some are no more
children: Array[u8, CHILDREN] = Array[u8, CHILDREN]()  # their numbers, once
parts: Array[u64, abi.ENVIRONMENT_FRAMES] = Array[u64, abi.ENVIRONMENT_FRAMES]()
environment_generations: Array[u32, abi.ENVIRONMENTS] = Array[u32, abi.ENVIRONMENTS]()
slice_generations: Array[u32, abi.SLICES] = Array[u32, abi.SLICES]()
message: Array[aegis.Message, 1] = Array[aegis.Message, 1]([aegis.Message()])

request: HandlerRequest = HandlerRequest()
instructions: Array[u64, 24] = Array[u64, 24]()
CLAIMED = HandlerPart.CODE + 2
WORK = 3  # for so few instructions
TABLE = SANDBOX  # the auditor maps the table of all handlers here, where it has no sandbox
handler_generations: Array[u32, HANDLERS] = Array[u32, HANDLERS]()
handlers: Array[u64, 8] = Array[u64, 8]()  # names of some that are ours
# Of eBPF: r0 = 0, r0 += 1, r1 = 1, r6 = r1, calls of helpers, jumps, a load from the context, a store into the frame, exit;
# r2 = the packet, r3 = its byte, its 15th becomes 1, r1 = r2, r2 = 60, calls that copy and send, r4 = what is in the frame, and
# a load and a store through that.
PLAUSIBLE: Final[Array[u64, 22]] = Array[u64, 22]([
    0xB7, 0x1_00000007, 0x1_000001B7, 0x16BF, 0x5_00000085, 0x3E9_00000085, 0x3EC_00000085, 0x0001_0015, 0xFFFE_0005, 0x1061,
    0xFFF8_0A7A, 0x95, 0x1261, 0x2371, 0x1_000E_0272, 0x21BF, 0x3C_000002B7, 0x3EA_00000085, 0x3EB_00000085, 0xFFF8_A479,
    0x4079, 0x047A,
])  # fmt: skip
# What they begin with more often than not: r2 = the packet, r6 = r1, and r3 to r5 = 0.
BEGIN: Final[Array[u64, 5]] = Array[u64, 5]([0x1261, 0x16BF, 0x3B7, 0x4B7, 0x5B7])

SPECIAL: Final[Array[u64, 20]] = Array[u64, 20]([
    0, 1, 2, 0xFFF, 0x1000, 0x200000, 0x201000, 0x3EFFFF, 0x3FFFFFFF, 0x40000000, 0x40000001, 0x7FFFFFFFFFF8, 0x800000000000,
    0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFF800000200000, 0xFFFFFFFF80200000, 0x3FC00000, 0xFFFFFFFFFEE00000,
    0xFFFFFFFFFFFFFFFF,
])  # fmt: skip

state: u64 = 0
identifier: u64 = 0
refused: u64 = 0
checks: u64 = 0
digest: u64 = 0
violations: u64 = 0
created: u64 = 0
chosen: u64 = 0  # which capability is being drawn
named: u64 = 0  # the name that was drawn
faulted: u64 = 0
call_stack: u64 = 0
served: u64 = 0
loaded: u64 = 0
ran: u64 = 0


def random() -> u64:
    """xorshift64*."""
    global state
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state * 0x2545F4914F6CDD1D


def below(limit: u64) -> u64:
    return (random() >> 33) % limit


@naked
def invoke(number: u64, first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """Makes any call; whatever it destroys is restored."""
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov qword ptr [{call_stack}], rsp
        mov rax, rdi
        mov rdi, rsi
        mov rsi, rdx
        mov rdx, rcx
        syscall
        jmp {answered}
    """)


@naked
def answered() -> None:
    """Behind a call, and the entry where the answer of a transfer arrives: no register but `rax` is ours."""
    asm("""
        mov rsp, qword ptr [{call_stack}]
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    """)


@naked
def serve() -> None:
    """The entry for transfers of both kinds: answers at once, without a stack, keeps the message and counts."""
    asm("""
        inc qword ptr [{served}]
        mov qword ptr [{inbox}], rsi
        mov qword ptr [{inbox} + 8], rdx
        mov qword ptr [{inbox} + 16], r8
        mov eax, {Call.TRANSFER_BACK}
        syscall
        ud2
    """)


@naked
def live() -> None:
    """What children run, without a stack: they claim a frame of each kind, yield a few times and end."""
    asm("""
        mov eax, {Call.FRAME_CLAIM}
        mov rdi, -1
        syscall
        mov eax, {Call.FRAME_CLAIM_TABLE}
        syscall
        mov eax, {Call.YIELD_TO}
        mov edi, {abi.ANY_ENVIRONMENT}
        syscall
        mov eax, {Call.YIELD_TO}
        mov edi, {abi.ANY_ENVIRONMENT}
        syscall
        mov eax, {Call.EXIT}
        mov edi, 7
        syscall
        ud2
    """)


# ---- random arguments


def draw(kind: u64, call: u64) -> u64:
    """A value of a kind: mostly one that may be accepted, sometimes anything."""
    if kind == SLICE:
        return draw_slice()
    if kind == NEW:
        return abi.ANY if below(2) == 0 else 8 + below(abi.ENVIRONMENTS)
    if kind == INSTRUCTION:
        return u64(live) if below(16) != 0 else any_word(kind)
    if kind == PARTS and below(4) != 0:
        return draw_parts()
    if kind == REQUEST and below(8) != 0:
        return draw_request()
    if kind == FILTER and below(4) != 0:
        return filters[below(FILTERS)]
    if kind == HANDLER and below(4) != 0:
        return handlers[below(8)]
    if kind >= SLOT and kind <= HOW:
        return draw_capability(kind, call)
    if below(8) == 0:
        return any_word(kind)
    if kind == PAGE:
        return SANDBOX + below(PAGES)
    if kind == FRAME:
        if (call == Call.FRAME_CLAIM or call == Call.FRAME_CLAIM_TABLE) and below(4) != 0:
            return abi.ANY
        return draw_frame()
    if kind == RIGHTS:
        return below(6)
    if kind == ENVIRONMENT:
        return below(6) if below(4) != 0 else u64(children[below(CHILDREN)])
    if kind == ADDRESS or kind == PARTS or kind == REQUEST:
        return draw_address()
    if kind == LENGTH:
        return below(80)
    if kind == COUNT_OF_PAGES:
        return below(abi.BATCH + 2) if below(4) == 0 else below(4)
    if kind == TRUTH:
        return below(2)
    if kind == TIMESTAMP:
        return read_timestamp() + (below(1 << 20) if below(16) == 0 else 0)
    return below(300)


def draw_capability(kind: u64, call: u64) -> u64:
    """A part of a capability, or where it is bound. The parts of one fit each other, but now and then."""
    global chosen, named
    if kind == SLOT:
        return draw_slot(call)
    if kind == HOW:
        return below(abi.BINDINGS) << 8 | below(8)
    if kind == NAME:
        chosen = below(CAPABILITIES)
        named = capabilities[chosen].name if call != Call.CAPABILITY_MINT else own_name()
        return named if below(16) != 0 else named ^ u64(1) << below(64)
    if below(16) == 0:
        return any_word(kind)
    if call == Call.CAPABILITY_MINT:
        return generation_of(named) << 32 | below(8)
    if kind == MAC:
        return capabilities[chosen].mac
    rights = capabilities[chosen].rights
    return rights if kind == CAPABILITY else rights & ~below(8)


def own_name() -> u64:
    """Of a resource that may be ours."""
    choice = below(9)
    if choice == 8:
        return u64(Kind.FILTER) << abi.NAME_INDEX_BITS | filters[below(FILTERS)] & 0xFFFF_FFFF
    if choice <= 1:
        return u64(Kind.SLICE) << abi.NAME_INDEX_BITS | draw_slice()
    if choice <= 3:
        return u64(Kind.ENVIRONMENT) << abi.NAME_INDEX_BITS | children[below(CHILDREN)]
    return u64(Kind.FRAME) << abi.NAME_INDEX_BITS | draw_frame()


def generation_of(name: u64) -> u64:
    """As everybody can read it."""
    kind = name >> abi.NAME_INDEX_BITS
    number = name & 0xFFFFFFFFFFFF
    if kind == Kind.FRAME and number < aegis.system_page().frames:
        return u64(aegis.frame_entry(number).generation)
    if kind == Kind.SLICE and number < abi.SLICES:
        return u64(aegis.system_page().slice_generations[number])
    if kind == Kind.ENVIRONMENT and number < abi.ENVIRONMENTS:
        return u64(aegis.system_page().environments[number].generation)
    if kind == Kind.FILTER:  # this one only its owner knows
        for one in filters:
            if one & 0xFFFF_FFFF == number:
                return one >> 32
    return 0


def draw_slot(call: u64) -> u64:
    """Most probably one that binds what the call needs."""
    if below(16) == 0:
        return any_word(SLOT)
    wanted: u64 = Kind.ENVIRONMENT
    if call == Call.BIND or call == Call.ENVIRONMENT_CREATE:
        wanted = 0
    elif call == Call.TLB_INSERT_BOUND:
        wanted = Kind.FRAME
    elif call == Call.SLICE_TAKE:
        wanted = Kind.SLICE
    elif call == Call.LINE_BIND:
        wanted = Kind.LINE
    elif call == Call.FILTER_BIND:
        if below(2) == 0:
            return abi.ANY
        wanted = Kind.FILTER
    elif call == Call.CAPTURE_BIND:
        return CAPTURE_SLOT if below(4) != 0 else abi.ANY
    elif call == Call.REVOKE:
        return AUTHORITY_SLOT + below(2)
    elif call == Call.UNBIND:
        return below(SLOTS)
    slot: u64 = 0
    for _ in range(8):
        slot = below(SLOTS)
        if bound[slot] >> abi.NAME_INDEX_BITS == wanted:
            return slot
    return slot


def draw_parts() -> u64:
    """Claims what an environment is made of; one of the frames may not do."""
    for i in range(abi.ENVIRONMENT_FRAMES):
        parts[i] = u64(aegis.frame_claim(abi.ANY) if i == PAGE_PART else aegis.frame_claim_table(abi.ANY))
    if below(16) == 0:
        parts[below(abi.ENVIRONMENT_FRAMES)] = draw_frame()
    return u64(addr(parts))


def draw_request() -> u64:
    """A handler's program, mostly one that is accepted, and claims what it is made of; one of the frames may not do."""
    slots = 2 + below(22)
    for i in range(slots - 2):
        choice = below(32)
        instructions[i] = random() if choice == 0 else PLAUSIBLE[below(len(PLAUSIBLE))]
        if i < len(BEGIN) and below(16) != 0:
            instructions[i] = BEGIN[i]
    instructions[slots - 2] = PLAUSIBLE[0] | below(5) << 32  # the action
    instructions[slots - 1] = 0x95
    request.program = u64(addr(instructions)) if below(16) != 0 else any_word(ADDRESS)
    request.slots = u32(slots) if below(16) != 0 else u32(random())
    request.budget = u32(below(12000))
    request.code_frames = u32(1 + below(2)) if below(8) != 0 else u32(random() >> below(64))
    for i in range(CLAIMED):
        request.parts[i] = u32(max(aegis.frame_claim_table(abi.ANY), 0))
    for i in range(WORK):
        request.work[i] = u32(max(aegis.frame_claim_table(abi.ANY), 0))
    if below(8) == 0:
        request.parts[below(CLAIMED)] = u32(draw_frame())
    elif below(8) == 0:
        request.work[below(WORK)] = u32(draw_frame())
    request.state_frames = u32(below(3)) if below(8) != 0 else u32(random() >> below(64))
    for i in range(u64(len(request.state))):
        request.state[i] = u32(draw_frame())
    return u64(addr(request))


def note_handler(result: i64) -> None:
    """After each try to load one: goes on with it, mostly, and attaches it; gives back what was not used, and not for ever
    keeps what was.
    """
    global loaded
    if result >= 0:
        place = below(8)
        remove(handlers[place])
        handlers[place] = u64(result)
        more: i64 = 1
        while more == 1 and below(32) != 0:
            more = ash.handler_continue(u64(result))
        loaded += u64(more == 0)
        if more == 0 and ash.handler_continue(u64(result)) != 0:
            violation("a handler that is whole is not", u64(result), 0)
        for filter in filters:
            attached = ash.handler_attach(filter, u64(result))
            if attached == 0 and more != 0:
                violation("a handler is attached that is not whole", u64(result), u64(more))
    for i in range(CLAIMED):
        give_back(u64(request.parts[i]))
    for i in range(WORK):
        give_back(u64(request.work[i]))


def remove(handler: u64) -> None:
    """And counts how often it ran."""
    global ran
    for count in range(HandlerCount.COPIES):
        ran += u64(max(ash.handler_count(handler, count), 0))
    ash.handler_remove(handler)


def give_back(frame: u64) -> None:
    if frame >= BOOT_FRAMES or program[frame] == 0:
        aegis.frame_release(frame)


def any_word(kind: u64) -> u64:
    """Nonsense, but no page or frame that the program itself needs, and no sleep without an end."""
    value = random() >> below(64)
    if below(2) == 0:
        value = SPECIAL[below(len(SPECIAL))]
    if kind == PAGE and value < abi.USER_LIMIT // abi.PAGE_BYTES:  # a node may have been donated there
        return value + abi.USER_LIMIT // abi.PAGE_BYTES
    if kind == FRAME and value < BOOT_FRAMES and program[value] != 0:
        return 0
    if kind == TIMESTAMP:
        return value % 2
    return value


def draw_frame() -> u64:
    """One of ours, or any, but none of those that the program itself is in."""
    if below(4) == 0:
        frame = below(aegis.system_page().frames + 16)
        if frame >= BOOT_FRAMES or program[frame] == 0:
            return frame
    return u64(pool[below(POOL)])


def draw_slice() -> u64:
    """Any but the last of ours, without which we should not run again; by force the first ones are taken."""
    if below(8) == 0:
        return any_word(SLICE) | 64
    position = below(abi.SLICES)
    own = below(2) == 0
    last: u64 = 0
    for i in range(abi.SLICES):
        if aegis.system_page().slice_owners[i] == identifier:
            last = i
            if own and below(4) == 0:
                position = i
    return position if position != last else abi.ANY


def draw_address() -> u64:
    choice = below(8)
    if choice == 0:
        return RING * abi.PAGE_BYTES
    if choice == 1:
        return (SANDBOX + below(PAGES)) * abi.PAGE_BYTES + below(abi.PAGE_BYTES)
    if choice == 2:
        return abi.STACK_TOP - below(64)
    if choice == 3:
        return u64(addr(batch[below(64)]))
    return u64(addr(text)) + below(2048)


# ---- the model, and what must hold


def violation(what: str, first: u64, second: u64) -> None:
    global violations
    violations += 1
    if violations < 20:
        print(f"\nviolation environment {identifier}:", what, f"{first:#x} {second:#x}")


def in_sandbox(page: u64) -> bool:
    return SANDBOX <= page < SANDBOX + PAGES


def tag_of(frame: u64, owner: u64) -> u64:
    return (frame << 8 | owner) * 0x9E3779B97F4A7C15 | 1


def is_tag(value: u64, frame: u64) -> bool:
    """Whether some environment marked `frame` so."""
    for owner in range(1, 16):
        if value == tag_of(frame, owner):
            return True
    return False


def note(call: u64, first: u64, second: u64, third: u64, fourth: u64, result: u64) -> None:
    """What a call that succeeded tells us."""
    if call == Call.FRAME_CLAIM_COPY:
        aegis.frame_release(result)  # another's mark may be in it, rightly
    elif call == Call.FRAME_CLAIM or call == Call.FRAME_CLAIM_TABLE:
        place = below(POOL)
        aegis.frame_release(u64(pool[place]))
        pool[place] = u32(result)
        if result < BOOT_FRAMES and call == Call.FRAME_CLAIM:
            generations[result] = aegis.frame_entry(result).generation
    elif call == Call.TLB_INSERT or call == Call.TLB_INSERT_BATCH or call == Call.TLB_PROTECT:
        note_mapping(call, first)
    elif call == Call.TLB_INSERT_BOUND:
        note_mapping(call, first)
    elif call == Call.CAPABILITY_MINT:
        keep(first, second, result)
        frame = first & 0xFFFFFFFFFFFF
        if frame < BOOT_FRAMES:
            generations[frame] = 0  # who gets this may write to it
    elif call == Call.CAPABILITY_WEAKEN:
        keep(first, fourth, result)
    elif call == Call.BIND:
        bound[first] = second
        bound_rights[first] = u8(third)
    elif call == Call.UNBIND or call == Call.SLICE_TAKE or call == Call.ENVIRONMENT_END:
        bound[first] = 0
    elif call == Call.FILTER_BIND:
        filters[below(FILTERS)] = result
        ash.handler_attach(result, handlers[below(8)])
    elif call == Call.WAIT:
        atomic_and(addr(aegis.environment_page().pending), ~result)


def note_mapping(call: u64, page: u64) -> None:
    if page >= abi.USER_LIMIT // abi.PAGE_BYTES:
        violation("mapped beyond the user's half", call, page)
    elif in_sandbox(page):
        check_page(page - SANDBOX)


def note_child(slot: u64, result: i64) -> None:
    """After each try to create one."""
    global created
    if result >= 0:
        created += 1
        bound[slot] = u64(Kind.ENVIRONMENT) << abi.NAME_INDEX_BITS | u64(result)
        children[below(CHILDREN)] = u8(result)
        if aegis.system_page().environments[u64(result)].state != State.EMBRYO:
            violation("a new environment is not", u64(result), slot)
        return
    for part in parts:
        if part >= BOOT_FRAMES or program[part] == 0:
            aegis.frame_release(part)


def keep(name: u64, rights: u64, mac: u64) -> None:
    """A capability, for later."""
    place = capabilities[below(CAPABILITIES)]
    place.name = name
    place.rights = rights
    place.mac = mac


def is_bound(slot: u64, frame: u64, writable: bool) -> bool:
    """Whether we have bound a frame in a slot, with the rights of a mapping."""
    allows = bound_rights[slot] & Right.WRITE != 0 if writable else bound_rights[slot] != 0
    return allows and bound[slot] == u64(Kind.FRAME) << abi.NAME_INDEX_BITS | frame


def skip_lost(registers: Registers) -> u8:
    """A page of the sandbox can be lost while we look at it."""
    global faulted
    if not in_sandbox(registers.address // abi.PAGE_BYTES):
        return Verdict.END
    faulted = 1
    return Verdict.SKIP


def check_page(number: u64) -> None:
    """A page of the sandbox leads to a frame of ours that knows it, or to one that we have bound, and shows nothing of
    anybody's; if it can be, it is marked. What was given to us may show the mark of who gave it, and what is shared of
    who shares it. Or it leads to a public frame, and is not writable.
    """
    global checks
    checks += 1
    page = SANDBOX + number
    entry = aegis.table_entry(page)
    if not entry.present:
        return
    frame = entry.frame
    status = aegis.frame_entry(frame)
    if status.kind == FrameKind.PUBLIC and not entry.own and not entry.bound and not entry.writable:
        return
    right = status.kind == FrameKind.DATA
    if entry.own:
        right = right and status.owner == identifier and status.page == page and not entry.bound
    else:
        right = right and entry.bound and status.bindings != 0 and is_bound(entry.slot, frame, entry.writable)
    if not right:
        if aegis.table_entry(page).present:  # else it has just been taken
            violation("a mapping without a right", page, frame)
        return
    if entry.writable and not entry.no_execute:
        violation("a page that is writable and executable", page, frame)
    check_contents(page, frame, entry.own, entry.writable)


def check_contents(page: u64, frame: u64, own: bool, writable: bool) -> None:
    global faulted
    faulted = 0
    place = Ptr[u64](page * abi.PAGE_BYTES) + TAG
    fresh = own and frame < BOOT_FRAMES and generations[frame] == aegis.frame_entry(frame).generation
    seen = volatile_load(place)
    if volatile_load(addr(faulted)):
        return
    if seen != 0 and (not is_tag(seen, frame) or fresh):
        violation("a frame shows another's contents", frame, seen)
    elif writable:
        volatile_store(place, tag_of(frame, identifier))
        if own and frame < BOOT_FRAMES:
            generations[frame] = 0


def check_frames() -> None:
    """The frame table has as many frames of ours as the counter says, they are all in our ring, and each mapping that
    it names is there. Others can give us frames meanwhile, so there are a few tries.
    """
    for _ in range(10):
        if frames_agree():
            return
    violation("frames and counter differ", owned_frames(), u64(aegis.system_page().environments[identifier].frames))


def owned_frames() -> u64:
    count: u64 = 0
    for frame in range(aegis.system_page().frames):
        status = aegis.frame_entry(frame)
        if status.owner == identifier:
            count += 1
            if status.kind == abi.FrameKind.DATA and status.page != abi.NOWHERE:
                page = u64(status.page)
                entry = aegis.table_entry(page)
                if (not entry.present or entry.frame != frame) and status.owner == identifier and status.page == page:
                    violation("a frame thinks that it is mapped", frame, page)
    return count


def frames_agree() -> bool:
    counter = u64(aegis.system_page().environments[identifier].frames)
    if owned_frames() != counter:
        return False
    first: u64 = 0
    while aegis.frame_entry(first).owner != identifier:
        first += 1
    steps: u64 = 1
    frame = u64(aegis.frame_entry(first).next)
    while frame != first and steps <= counter + 1:
        if aegis.frame_entry(u64(aegis.frame_entry(frame).next)).previous != frame:
            return False
        frame = u64(aegis.frame_entry(frame).next)
        steps += 1
    return steps == counter + 1  # the ring is closed by an entry that is no frame


def check_mappings() -> None:
    for number in range(PAGES):
        check_page(number)


# ---- the fuzzing environments


def note_program() -> None:
    """Finds the frames that are ours before any was claimed, and makes sure that none is taken by force."""
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    for frame in range(BOOT_FRAMES):
        program[frame] = u8(frame < aegis.system_page().frames and aegis.frame_entry(frame).owner == identifier)
        if program[frame] != 0 and aegis.frame_entry(frame).kind == FrameKind.DATA:
            if aegis.frame_pin(frame, 1) != 0 and aegis.frame_guarantee(frame, 1) != 0:
                violation("more program than can be kept", frame, 0)
    aegis.tlb_insert(SANDBOX, 0, Right.NONE)


def prepare() -> None:
    """A receive ring, so that binding one can succeed, and a pool of frames."""
    exceptions.handle(exceptions.PAGE, skip_lost)
    page = aegis.environment_page()
    page.transfer_entry = u32(u64(serve))
    page.transfer_asynchronous_entry = u32(u64(serve))
    page.transfer_return_entry = u32(u64(answered))
    note_program()
    mend_ring()
    for i in range(POOL):
        pool[i] = u32(max(aegis.frame_claim(abi.ANY), 0))


def mend_ring() -> None:
    """Random calls have taken it apart."""
    aegis.tlb_node(RING, u64(aegis.frame_claim_table(abi.ANY)))
    for i in range(RING_PAGES):
        entry = aegis.table_entry(RING + i)
        if not entry.present or not entry.own or not entry.writable:
            aegis.tlb_insert(RING + i, 0, Right.NONE)
            aegis.tlb_insert(RING + i, u64(aegis.frame_claim(abi.ANY)), Right.WRITE)
        check_page(RING + i - SANDBOX)
    indices = Ptr[abi.RingIndices](RING * abi.PAGE_BYTES)[0]
    indices.consumer = indices.producer  # so that there is room for what comes


def make_child() -> None:
    """One that can run: it has the page of our program with what children run."""
    slot = below(SLOTS)
    aegis.unbind(slot)
    bound[slot] = 0
    draw_parts()
    number = aegis.environment_create(slot, abi.ANY, parts)
    note_child(slot, number)
    if number >= 0:
        page = u64(live) // abi.PAGE_BYTES
        give_node(slot, page)
        for i in range(below(NODES + 1)):
            give_node(slot, SANDBOX + 512 * i)
        aegis.environment_share(slot, page, 2, 0, Right.EXECUTE)


def renew() -> None:
    """A capability of something that may be ours, kept to be passed on and sometimes bound by ourselves."""
    name = own_name()
    rights = generation_of(name) << 32 | below(8)
    mac = aegis.capability_mint(name, rights)
    if mac < 0:
        return
    note(Call.CAPABILITY_MINT, name, rights, 0, 0, u64(mac))
    if below(4) == 0:
        slot = below(SLOTS)
        aegis.unbind(slot)
        bound[slot] = 0
        if aegis.bind(slot, name, rights, u64(mac)) == 0:
            note(Call.BIND, slot, name, rights, u64(mac), 0)


def receive() -> None:
    """Keeps a capability that came; the authorities of the auditor's have slots of their own."""
    name = inbox[0]
    rights = inbox[1]
    mac = inbox[2]
    inbox[0] = 0
    keep(name, rights, mac)
    slot = AUTHORITY_SLOT + (name & 1)
    if name >> abi.NAME_INDEX_BITS == Kind.CAPTURE and aegis.bind(CAPTURE_SLOT, name, rights, mac) == 0:
        note(Call.BIND, CAPTURE_SLOT, name, rights, mac, 0)
    if name >> abi.NAME_INDEX_BITS == Kind.AUTHORITY and aegis.bind(slot, name, rights, mac) == 0:
        note(Call.BIND, slot, name, rights, mac, 0)


def give_node(slot: u64, page: u64) -> None:
    frame = u64(aegis.frame_claim_table(abi.ANY))
    aegis.environment_node(slot, page, frame)
    aegis.frame_release(frame)  # if it was not used


def tidy() -> None:
    """Releases most of what is not used: frames that were given to us, or that fell out of the pool, among them."""
    for frame in range(min(aegis.system_page().frames, BOOT_FRAMES)):
        entry = aegis.frame_entry(frame)
        if entry.owner == identifier and program[frame] == 0 and entry.page == abi.NOWHERE and below(8) != 0:
            aegis.frame_release(frame)
    for i in range(POOL):
        if aegis.frame_entry(u64(pool[i])).owner != identifier:
            pool[i] = u32(max(aegis.frame_claim(abi.ANY), 0))
    for i in range(abi.BATCH):
        batch[i] = u64(pool[below(POOL)])
    end_children(2)


def fuzz() -> None:
    global refused, digest
    prepare()
    made: u64 = 0
    while made < CALLS:
        choice = below(COUNT)
        call = u64(numbers[choice])
        if call == Call.CONSOLE_WRITE and below(16) != 0:
            continue  # slow, and tiresome to read
        if (call == Call.REVOKE and below(16) != 0) or (call == Call.UNBIND and below(4) != 0):
            continue  # or nobody would have anything
        if call == Call.NETWORK_BIND and below(1024) != 0:
            continue  # whoever has all frames leaves no filter to others
        first = draw(kinds[4 * choice], call)
        second = draw(kinds[4 * choice + 1], call)
        third = draw(kinds[4 * choice + 2], call)
        fourth = draw(kinds[4 * choice + 3], call)
        if below(4) != 0:  # several arguments must fit each other
            if call == Call.NETWORK_SEND:
                first = u64(addr(text)) + 2048 * below(2)
            elif call == Call.FILTER_BIND or call == Call.CAPTURE_BIND or call == Call.NETWORK_BIND:
                first = RING * abi.PAGE_BYTES
            if call == Call.FILTER_BIND:
                second = u64(addr(atoms[below(FILTERS - 4)]))
        result = invoke(call, first, second, third, fourth)
        made += 1
        if result >= 0:
            note(call, first, second, third, fourth, u64(result))
        else:
            refused += 1
            if result < -LAST_ERROR or allowed[choice] >> u64(-result) & 1 == 0:
                violation("an error that the table does not name", call, u64(result))
        if call == Call.ENVIRONMENT_CREATE:
            note_child(first, result)
        elif call == Call.HANDLER_LOAD:
            note_handler(result)
        if result >= 0 and (call == Call.CAPABILITY_MINT or call == Call.CAPABILITY_WEAKEN):
            result = 0  # each boot has another key
        digest = (digest ^ call ^ u64(result)) * 0x100000001B3
        if inbox[0] != 0:
            receive()
        if made % RENEW_EVERY == 0:
            renew()
        if made % MAKE_EVERY == 0:
            make_child()
            mend_ring()
        if made % CHECK_EVERY == 0:
            check_page(below(PAGES))
            batch[below(abi.BATCH)] = u64(pool[below(POOL)])
        if made % 8192 == 0:
            check_frames()
        if made % 2048 == 0:
            tidy()
    for handler in handlers:
        remove(handler)
    check_mappings()
    check_frames()
    print(
        f"\nfuzzer {identifier} calls",
        CALLS,
        "refused",
        refused,
        "checks",
        checks,
        "served",
        served,
        "children",
        created,
        "handlers",
        loaded,
        "runs",
        ran,
        f"digest {digest:#x}",
    )


def end_children(one_in: u64) -> None:
    """Ends some of whom we can mint a capability: a creator of its children, the auditor of those without one."""
    for i in range(1, abi.ENVIRONMENTS):
        name = u64(Kind.ENVIRONMENT) << abi.NAME_INDEX_BITS | i
        rights = generation_of(name) << 32 | Right.WRITE
        mac = aegis.capability_mint(name, rights)
        if mac >= 0 and below(one_in) == 0:
            aegis.unbind(LAST_SLOT)
            refusal = aegis.bind(LAST_SLOT, name, rights, u64(mac))
            # Since it was minted it may have ended, and another have its number.
            if refusal != 0 and refusal != Error.STALE:
                violation("a genuine capability is refused", name, rights)
            aegis.environment_end(LAST_SLOT, 0)


# ---- the auditor


def frames_in_use() -> u64:
    """By all environments."""
    count: u64 = 0
    for status in aegis.system_page().environments:
        count += u64(status.frames)
    return count


def frames_account(total: u64) -> bool:
    """Whether the counters add up. Another environment may run between two of the reads, so there are a few tries."""
    for _ in range(100):
        if frames_in_use() + aegis.system_page().frames_free == total:
            return True
    return frames_in_use() + aegis.system_page().frames_free + lent() == total


def lent() -> u64:
    """Frames that somebody sent from and who has ended: the kernel's, until the device has read them."""
    count: u64 = 0
    for frame in range(aegis.system_page().frames):
        status = aegis.frame_entry(frame)
        count += u64(status.owner == abi.FRAME_KERNEL and status.pins != 0)
    return count


def audit(total: u64) -> None:
    global checks
    checks += 1
    if not frames_account(total):
        violation("frames do not add up", frames_in_use() + aegis.system_page().frames_free, total)
    audit_environments()
    audit_slices()
    audit_handlers()
    for _ in range(FRAMES_PER_AUDIT):
        audit_frame(below(min(aegis.system_page().frames, BOOT_FRAMES)))


def is_there(environment: u64) -> bool:
    """Whether an environment exists, or its frames are on their way back."""
    return environment < abi.ENVIRONMENTS and aegis.system_page().environments[environment].state != State.FREE


def audit_environments() -> None:
    for i in range(abi.ENVIRONMENTS):
        status = aegis.system_page().environments[i]
        if status.state > State.ENDED:
            violation("a state that is none", i, u64(status.state))
        if status.generation < environment_generations[i]:
            violation("an environment's generation shrinks", i, u64(status.generation))
        environment_generations[i] = status.generation
        if status.state == State.FREE and status.frames != 0 and status.state == State.FREE:
            violation("who is not there has frames", i, u64(status.frames))


def audit_slices() -> None:
    system = aegis.system_page()
    for i in range(abi.SLICES):
        owner = u64(system.slice_owners[i])
        if owner != abi.ENVIRONMENTS and not is_there(owner) and owner == system.slice_owners[i]:
            violation("a slice of nobody's", i, owner)
        if system.slice_generations[i] < slice_generations[i]:
            violation("a slice's generation shrinks", i, u64(system.slice_generations[i]))
        slice_generations[i] = system.slice_generations[i]


def audit_handlers() -> None:
    """The kernel's table of them, which anybody may read."""
    table = Ptr[HandlerTable](TABLE * abi.PAGE_BYTES)[0]
    for i in range(HANDLERS):
        handler = table.entries[i]
        owner = volatile_load(addr(handler.owner))
        if owner < abi.ENVIRONMENTS and not is_there(owner) and volatile_load(addr(handler.owner)) == owner:
            violation("a handler of nobody's", i, owner)
        if handler.generation < handler_generations[i]:
            violation("a handler's generation shrinks", i, u64(handler.generation))
        handler_generations[i] = handler.generation


def audit_frame(frame: u64) -> None:
    """What may change between two looks is looked at again."""
    status = aegis.frame_entry(frame)
    if status.generation < generations[frame]:
        violation("a frame's generation shrinks", frame, u64(status.generation))
    generations[frame] = status.generation
    head = u64(status.bindings)
    if head == 0:
        return
    seen = status.generation
    binder = (head - 1) // abi.BINDINGS
    if (not is_there(binder) or status.owner >= abi.FRAME_FREE or status.kind != FrameKind.DATA) and (
        status.bindings == head and status.generation == seen
    ):
        violation("bindings to what is nobody's, or nobody's", frame, head)


def distribute() -> None:
    """Passes a capability that only we can mint to somebody: of an authority, a line or a capture."""
    name = u64(Kind.AUTHORITY) << abi.NAME_INDEX_BITS | below(len(Authority))
    if below(4) == 0:
        name = u64(Kind.LINE) << abi.NAME_INDEX_BITS | below(abi.LINES)
    elif below(4) == 0:
        name = u64(Kind.CAPTURE) << abi.NAME_INDEX_BITS
    words = message[0].words
    words[0] = name
    words[1] = Right.WRITE
    words[2] = u64(aegis.capability_mint(name, Right.WRITE))
    aegis.transfer(1 + below(4), message[0])


def help_the_slow() -> None:
    """Lets those run that have lost all their slices."""
    for i in range(1, abi.ENVIRONMENTS):
        if aegis.system_page().environments[i].state == State.RUNNABLE:
            owned: u64 = 0
            for owner in aegis.system_page().slice_owners:
                owned += u64(owner == i)
            if owned == 0:
                aegis.yield_to(i)


def check_books() -> None:
    """While nobody else runs: the frame table, the counters and the number of free frames say the same."""
    system = aegis.system_page()
    count: u64 = 0
    for frame in range(system.frames):
        status = aegis.frame_entry(frame)
        if status.owner > abi.FRAME_KERNEL:
            violation("a frame of nobody's", frame, u64(status.owner))
        count += u64(status.owner == abi.FRAME_FREE)
        if status.owner == abi.FRAME_FREE and (status.bindings != 0 or status.pins != 0 or status.flags != 0):
            violation("a free frame in use", frame, u64(status.pins))
    if others() == 0 and count != system.frames_free:
        violation("free frames and counter differ", count, system.frames_free)


def others() -> u64:
    """Environments that have not ended."""
    count: u64 = 0
    for i in range(1, abi.ENVIRONMENTS):
        count += u64(aegis.system_page().environments[i].state != abi.State.FREE)
    return count


def oversee() -> None:
    """Audits until the others have ended; what they had must then be free."""
    total = frames_in_use() + aegis.system_page().frames_free
    note_program()
    if ash.show(TABLE) != 0:
        violation("the table of handlers is hidden", TABLE, 0)
    check_books()
    while others() != 0:
        audit(total)
        distribute()
        end_children(1)
        help_the_slow()
        events = aegis.wait(read_timestamp() + aegis.system_page().timestamp_frequency // 500)
        atomic_and(addr(aegis.environment_page().pending), ~u64(events))
    for _ in range(100):  # a fifth of a second; the device has long read everything
        if lent() == 0:
            break
        aegis.wait(read_timestamp() + aegis.system_page().timestamp_frequency // 500)
    audit(total)
    check_books()
    system = aegis.system_page()
    if u64(system.environments[0].frames) + system.frames_free != total:
        violation("frames were lost", u64(system.environments[0].frames) + system.frames_free, total)
    for i in range(abi.SLICES):
        owner = system.slice_owners[i]
        if owner != 0 and owner != abi.ENVIRONMENTS:
            violation("a slice of one that ended", i, u64(owner))
    for handler in Ptr[HandlerTable](TABLE * abi.PAGE_BYTES)[0].entries:
        if handler.owner < abi.ENVIRONMENTS:
            violation("a handler of one that ended", handler.owner, handler.window)
    print("\nauditor checks", checks)


def main() -> u64:
    global state, identifier
    identifier = aegis.environment_page().identifier
    state = (SEED * 0x9E3779B97F4A7C15 % 2**64 + identifier * 0xD1B54A32D192ED03) | 1
    if identifier == 0:
        oversee()
    else:
        fuzz()
    return min(violations, 100)
