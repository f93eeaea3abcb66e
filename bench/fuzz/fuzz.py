# SPDX-License-Identifier: MIT
"""The kernel's fuzzer: an application that makes random calls, drawn from the interface table by the kinds of their
arguments, and checks after each what can be seen of the kernel's promises.

Several environments run it. Environment 0 makes no random calls: it is the auditor of what the kernel shows of the
whole machine, and ends the machine when the others are done. Every other environment draws from a sequence of its own
that SEED and its number decide; under `-icount shift=0` two runs are the same. It prints one line at its end:
`fuzzer N calls C refused R checks K served S digest D`, and `violation ...` when a promise was broken.

Checked after each call: the answer is a result or an error that the table names for this call. Every CHECK_EVERY calls,
and after each that maps: what a page of the sandbox leads to is a frame of ours that knows of it, never writable and
executable, and shows nothing of anybody else's; a fresh frame is clear. Now and then: our frames in the frame table,
in their ring and in the counter are the same. By the auditor: the frames of all environments and the free ones are all
there are, no free frame is in use, each slice has an owner that exists, environments that ended own nothing.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Call, Error, Right
from exokernel.exos import aegis
from exokernel.host.interface import INTERFACE
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Ptr, addr, aligned, asm, i64, naked, u8, u32, u64, volatile_load, volatile_store

SEED = 1
CALLS = 30_000  # made by each environment
CHECK_EVERY = 64

# ---- the interface, as tables

NEVER = {"EXIT", "SHUTDOWN", "EXCEPTION_RETURN"}  # they do not come back; the adversaries try them
UNMODELLED = set(range(26, 40))  # what they do to others is not followed by the checks below yet
KINDS = ("word", "page", "frame", "rights", "environment", "address", "length", "timestamp", "slice", "count", "truth")
WORD, PAGE, FRAME, RIGHTS, ENVIRONMENT, ADDRESS, LENGTH, TIMESTAMP, SLICE, COUNT_OF_PAGES, TRUTH = range(len(KINDS))
DRAWN = [
    description
    for description in INTERFACE
    if description.call.name not in NEVER and description.call not in UNMODELLED
]
COUNT = len(DRAWN)
numbers: Final[Array[u8, COUNT]] = Array[u8, COUNT]([description.call for description in DRAWN])
kinds: Final[Array[u8, 4 * COUNT]] = Array[u8, 4 * COUNT]([
    KINDS.index(description.arguments[i].values) if i < len(description.arguments) else WORD
    for description in DRAWN
    for i in range(4)
])  # fmt: skip
allowed: Final[Array[u64, COUNT]] = Array[u64, COUNT]([  # bit n: may answer error -n
    sum(1 << -Error[name] for name in {*description.errors, "BAD_ARGUMENT"}) for description in DRAWN
])  # fmt: skip
LAST_ERROR = -min(Error)

# ---- the sandbox: pages that only random calls map

SANDBOX = 0x10000000 // abi.PAGE_BYTES
NODES = 4
PAGES = 512 * NODES
RING = SANDBOX + 1536  # here a receive ring is mapped at the start
RING_PAGES = 65
POOL = 64
TAG = 2040 // 8  # the word of a frame that says whose it is: no received frame reaches it
pool: Array[u32, POOL] = Array[u32, POOL]()
batch: Array[u64, abi.BATCH] = Array[u64, abi.BATCH]()  # frame numbers, an argument
BOOT_FRAMES = 0x4000
program: Array[u8, BOOT_FRAMES] = Array[u8, BOOT_FRAMES]()  # 1: a frame that the kernel loaded this program into
fresh: Array[u8, BOOT_FRAMES] = Array[u8, BOOT_FRAMES]()  # 1: claimed and never written to: must be clear
text: Array[u8, 4096] = aligned(4096, Array[u8, 4096](b"." * 4096))

SPECIAL: Final[Array[u64, 20]] = Array[u64, 20]([
    0, 1, 2, 0xFFF, 0x1000, 0x200000, 0x201000, 0x3EFFFF, 0x3FFFFFFF, 0x40000000, 0x40000001, 0x7FFFFFFFFFF8, 0x800000000000,
    0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFF800000200000, 0xFFFFFFFF80200000, 0xFFFFFFFFBFC00000, 0xFFFFFFFFFEE00000,
    0xFFFFFFFFFFFFFFFF,
])  # fmt: skip

state: u64 = 0
identifier: u64 = 0
refused: u64 = 0
checks: u64 = 0
digest: u64 = 0
violations: u64 = 0
first_slice: u64 = 0
call_stack: u64 = 0
served: u64 = 0


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
    """The entry for transfers of both kinds: answers at once, without a stack, and counts."""
    asm("""
        inc qword ptr [{served}]
        mov eax, {Call.TRANSFER_BACK}
        syscall
        ud2
    """)


# ---- random arguments


def draw(kind: u64) -> u64:
    """A value of a kind: mostly one that may be accepted, sometimes anything."""
    if kind == SLICE:
        return draw_slice()
    if below(8) == 0:
        return any_word(kind)
    if kind == PAGE:
        return SANDBOX + below(PAGES)
    if kind == FRAME:
        return draw_frame()
    if kind == RIGHTS:
        return below(6)
    if kind == ENVIRONMENT:
        return below(6)
    if kind == ADDRESS:
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
    """Any but our first, without which we should not run again."""
    if below(8) == 0:
        return any_word(SLICE) | 64
    position = below(abi.SLICES)
    return position if position != first_slice else abi.ANY


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


def note(call: u64, first: u64, result: u64) -> None:
    """What a call that succeeded tells us."""
    if call == Call.FRAME_CLAIM:
        pool[below(POOL)] = u32(result)
        if result < BOOT_FRAMES:
            fresh[result] = 1
    elif call == Call.FRAME_RELEASE or call == Call.FRAME_GIVE:
        if first < BOOT_FRAMES:
            fresh[first] = 0
    elif call == Call.TLB_INSERT or call == Call.TLB_INSERT_BATCH or call == Call.TLB_PROTECT:
        if first >= abi.USER_LIMIT // abi.PAGE_BYTES:
            violation("mapped beyond the user's half", call, first)
        elif in_sandbox(first):
            check_page(first - SANDBOX)


def check_page(number: u64) -> None:
    """A page of the sandbox leads to a frame of ours that knows it, and shows nothing of anybody's; if it can be, it is
    marked. What was given to us may show the mark of who gave it. Or it leads to a public frame, and is not writable.
    """
    global checks
    checks += 1
    page = SANDBOX + number
    entry = aegis.table_entry(page)
    if not entry.present:
        return
    frame = entry.frame
    status = aegis.frame_entry(frame)
    if status.kind == abi.FrameKind.PUBLIC and not entry.own and not entry.bound and not entry.writable:
        return
    if not entry.own or status.owner != identifier or status.kind != abi.FrameKind.DATA or status.page != page:
        violation("a mapping without a right", page, frame)
        return
    if entry.writable and not entry.no_execute:
        violation("a page that is writable and executable", page, frame)
    place = Ptr[u64](page * abi.PAGE_BYTES) + TAG
    seen = volatile_load(place)
    if seen != 0 and (not is_tag(seen, frame) or (frame < BOOT_FRAMES and fresh[frame] != 0)):
        violation("a frame shows another's contents", frame, seen)
    elif entry.writable:
        volatile_store(place, tag_of(frame, identifier))
        if frame < BOOT_FRAMES:
            fresh[frame] = 0


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
                entry = aegis.table_entry(u64(status.page))
                if not entry.present or entry.frame != frame:
                    violation("a frame thinks that it is mapped", frame, u64(status.page))
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
    """Finds the frames that are ours before any was claimed."""
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    for frame in range(BOOT_FRAMES):
        program[frame] = u8(frame < aegis.system_page().frames and aegis.frame_entry(frame).owner == identifier)
    aegis.tlb_insert(SANDBOX, 0, Right.NONE)


def prepare() -> None:
    """A receive ring, so that binding one can succeed, and a pool of frames."""
    global first_slice
    page = aegis.environment_page()
    page.transfer_entry = u32(u64(serve))
    page.transfer_asynchronous_entry = u32(u64(serve))
    page.transfer_return_entry = u32(u64(answered))
    note_program()
    aegis.tlb_node(RING, u64(aegis.frame_claim(abi.ANY)))
    for i in range(RING_PAGES):
        frame = u64(aegis.frame_claim(abi.ANY))
        aegis.tlb_insert(RING + i, frame, Right.WRITE)
        check_page(RING + i - SANDBOX)
    for i in range(POOL):
        pool[i] = u32(aegis.frame_claim(abi.ANY))
    while aegis.system_page().slice_owners[first_slice] != identifier:
        first_slice += 1


def fuzz() -> None:
    global refused, digest
    prepare()
    made: u64 = 0
    while made < CALLS:
        choice = below(COUNT)
        call = u64(numbers[choice])
        if call == Call.CONSOLE_WRITE and below(16) != 0:
            continue  # slow, and tiresome to read
        first = draw(kinds[4 * choice])
        second = draw(kinds[4 * choice + 1])
        third = draw(kinds[4 * choice + 2])
        fourth = draw(kinds[4 * choice + 3])
        result = invoke(call, first, second, third, fourth)
        made += 1
        if result >= 0:
            note(call, first, u64(result))
        else:
            refused += 1
            if result < -LAST_ERROR or allowed[choice] >> u64(-result) & 1 == 0:
                violation("an error that the table does not name", call, u64(result))
        digest = (digest ^ call ^ u64(result)) * 0x100000001B3
        if made % CHECK_EVERY == 0:
            check_page(below(PAGES))
            batch[below(abi.BATCH)] = u64(pool[below(POOL)])
        if made % 8192 == 0:
            check_frames()
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
        f"digest {digest:#x}",
    )


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
    return False


def audit(total: u64) -> None:
    global checks
    checks += 1
    system = aegis.system_page()
    if not frames_account(total):
        violation("frames do not add up", frames_in_use() + system.frames_free, total)
    for i in range(abi.SLICES):
        owner = u64(system.slice_owners[i])
        if owner > abi.ENVIRONMENTS:
            violation("a slice of nobody's", i, owner)
    for i in range(abi.ENVIRONMENTS):
        if system.environments[i].state > abi.State.ENDED:
            violation("a state that is none", i, u64(system.environments[i].state))


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
    check_books()
    while others() != 0:
        audit(total)
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
