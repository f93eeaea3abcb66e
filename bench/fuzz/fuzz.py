# SPDX-License-Identifier: MIT
"""The kernel's fuzzer: an application that makes random calls, drawn from the interface table by the kinds of their
arguments, and checks after each what can be seen of the kernel's promises.

Several environments run it. Environment 0 makes no random calls: it is the auditor of what the kernel shows of the
whole machine, and ends the machine when the others are done. Every other environment draws from a sequence of its own
that SEED and its number decide; under `-icount shift=0` two runs are the same. It prints one line at its end:
`fuzzer N calls C refused R checks K served S digest D`, and `violation ...` when a promise was broken.

Checked after each call: the answer is a result or an error that the table names for this call. Every CHECK_EVERY calls: what
is mapped in the sandbox shows the frame that was mapped there and nothing of anybody else's; a fresh frame is clear.
By the auditor: the frames of all environments and the free ones are all there are, each slice has an owner that
exists, environments that ended own nothing.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Call, Error, Right
from exokernel.aegis.interface import INTERFACE
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Ptr, addr, aligned, asm, i64, naked, u8, u32, u64, volatile_load, volatile_store

SEED = 1
CALLS = 30_000  # made by each environment
CHECK_EVERY = 64

# ---- the interface, as tables

NEVER = {Call.EXIT, Call.SHUTDOWN}  # they do not come back; the adversaries try them
UNMODELLED = set(range(16, 40))  # they change owners and mappings in ways that the model below does not follow yet
KINDS = ("word", "page", "frame", "rights", "environment", "address", "length", "timestamp", "slice", "count", "truth")
WORD, PAGE, FRAME, RIGHTS, ENVIRONMENT, ADDRESS, LENGTH, TIMESTAMP, SLICE, _, _ = range(len(KINDS))
DRAWN = [description for description in INTERFACE if description.call not in NEVER | UNMODELLED]
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

# ---- the sandbox: pages that only random calls map, with a model of what is mapped

SANDBOX = 0x10000000 // abi.PAGE_BYTES
NODES = 4
PAGES = 512 * NODES
RING = SANDBOX + 1536  # here a receive ring is mapped at the start
RING_PAGES = 65
POOL = 64
TAG = 2040 // 8  # the word of a frame that says whose it is: no received frame reaches it
mapped: Array[u32, PAGES] = Array[u32, PAGES]()  # the frame, 0 if none
writable: Array[u8, PAGES] = Array[u8, PAGES]()
pool: Array[u32, POOL] = Array[u32, POOL]()
BOOT_FRAMES = 0x4000
program: Array[u8, BOOT_FRAMES] = Array[u8, BOOT_FRAMES]()  # 1: a frame that the kernel loaded this program into
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
        frame = below(abi.system_page().frames + 16)
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
    return u64(addr(text)) + below(2048)


# ---- the model, and what must hold


def violation(what: str, first: u64, second: u64) -> None:
    global violations
    violations += 1
    if violations < 20:
        print(f"\nviolation environment {identifier}:", what, f"{first:#x} {second:#x}")


def in_sandbox(page: u64) -> bool:
    return SANDBOX <= page < SANDBOX + PAGES


def tag_of(frame: u64) -> u64:
    return (frame << 8 | identifier) * 0x9E3779B97F4A7C15 | 1


def note(call: u64, first: u64, second: u64, third: u64, result: u64) -> None:
    """Keeps the model after a call that succeeded."""
    if call == Call.FRAME_CLAIM:
        pool[below(POOL)] = u32(result)
    elif call == Call.TLB_INSERT:
        if first >= abi.USER_LIMIT // abi.PAGE_BYTES:
            violation("mapped beyond the user's half", first, second)
        if not in_sandbox(first):
            return  # somewhere in free memory
        mapped[first - SANDBOX] = u32(second) if third & 0xFF != 0 else 0
        writable[first - SANDBOX] = u8(third & Right.WRITE != 0)
        check_page(first - SANDBOX)


def check_page(number: u64) -> None:
    """A page shows the frame that the model says, clear or marked by us; if it can be, it is then marked."""
    global checks
    checks += 1
    frame = u64(mapped[number])
    if frame == 0:
        return
    place = Ptr[u64]((SANDBOX + number) * abi.PAGE_BYTES) + TAG
    seen = volatile_load(place)
    if seen == 0 and writable[number] != 0:
        volatile_store(place, tag_of(frame))
    elif seen != 0 and seen != tag_of(frame):
        violation("a frame shows another's contents", frame, seen)


def check_mappings() -> None:
    for number in range(PAGES):
        check_page(number)


# ---- the fuzzing environments


def note_program() -> None:
    """Finds the frames that are ours before any was claimed."""
    abi.tlb_node(SANDBOX, u64(abi.frame_claim(abi.ANY)))
    for frame in range(BOOT_FRAMES):
        program[frame] = u8(frame < abi.system_page().frames and abi.frame_entry(frame).owner == identifier)
    abi.tlb_insert(SANDBOX, 0, Right.NONE)


def prepare() -> None:
    """A receive ring, so that binding one can succeed, and a pool of frames."""
    global first_slice
    page = abi.environment_page()
    page.transfer_entry = u32(u64(serve))
    page.transfer_asynchronous_entry = u32(u64(serve))
    page.transfer_return_entry = u32(u64(answered))
    note_program()
    abi.tlb_node(RING, u64(abi.frame_claim(abi.ANY)))
    for i in range(RING_PAGES):
        frame = u64(abi.frame_claim(abi.ANY))
        abi.tlb_insert(RING + i, frame, Right.WRITE)
        note(Call.TLB_INSERT, RING + i, frame, Right.WRITE, 0)
    for i in range(POOL):
        pool[i] = u32(abi.frame_claim(abi.ANY))
    while abi.system_page().slice_owners[first_slice] != identifier:
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
            note(call, first, second, third, u64(result))
        else:
            refused += 1
            if result < -LAST_ERROR or allowed[choice] >> u64(-result) & 1 == 0:
                violation("an error that the table does not name", call, u64(result))
        digest = (digest ^ call ^ u64(result)) * 0x100000001B3
        if made % CHECK_EVERY == 0:
            check_page(below(PAGES))
    check_mappings()
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
    for status in abi.system_page().environments:
        count += u64(status.frames)
    return count


def frames_account(total: u64) -> bool:
    """Whether the counters add up. Another environment may run between two of the reads, so there are a few tries."""
    for _ in range(100):
        if frames_in_use() + abi.system_page().frames_free == total:
            return True
    return False


def audit(total: u64) -> None:
    global checks
    checks += 1
    system = abi.system_page()
    if not frames_account(total):
        violation("frames do not add up", frames_in_use() + system.frames_free, total)
    for i in range(abi.SLICES):
        owner = u64(system.slice_owners[i])
        if owner > abi.ENVIRONMENTS:
            violation("a slice of nobody's", i, owner)
    for i in range(abi.ENVIRONMENTS):
        if system.environments[i].state > abi.State.SLEEPING:
            violation("a state that is none", i, u64(system.environments[i].state))


def others() -> u64:
    """Environments that have not ended."""
    count: u64 = 0
    for i in range(1, abi.ENVIRONMENTS):
        count += u64(abi.system_page().environments[i].state != abi.State.FREE)
    return count


def oversee() -> None:
    """Audits until the others have ended; what they had must then be free."""
    total = frames_in_use() + abi.system_page().frames_free
    while others() != 0:
        audit(total)
        abi.wait(read_timestamp() + abi.system_page().timestamp_frequency // 500)
    audit(total)
    system = abi.system_page()
    if u64(system.environments[0].frames) + system.frames_free != total:
        violation("frames were lost", u64(system.environments[0].frames) + system.frames_free, total)
    for i in range(abi.SLICES):
        owner = system.slice_owners[i]
        if owner != 0 and owner != abi.ENVIRONMENTS:
            violation("a slice of one that ended", i, u64(owner))
    print("\nauditor checks", checks)


def main() -> u64:
    global state, identifier
    identifier = abi.environment_page().identifier
    state = (SEED * 0x9E3779B97F4A7C15 % 2**64 + identifier * 0xD1B54A32D192ED03) | 1
    if identifier == 0:
        oversee()
    else:
        fuzz()
    return min(violations, 100)
