# SPDX-License-Identifier: MIT
"""The kernel as an application meets it: a Python function for each call of `aegis.abi`, and its exported pages as
objects.

These are only the few instructions that make a call; nothing here decides anything, and an application may make its
calls otherwise. docs/abi.md is written from these docstrings.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from exokernel.aegis.abi import *
from exokernel.metal import *
from exokernel.metal.language import from_text


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


F = TypeVar("F", bound=Callable[..., Any])


def _system_call(count: int) -> Any:
    """A function that makes the call of a number with so many arguments."""
    values = ("number", "first", "second", "third", "fourth")[: count + 1]
    registers = ",".join(f"{{{register}}}" for register in ("rax", "rdi", "rsi", "rdx", "r8")[: count + 1])
    constraints = "={rax}," + registers + ",~{rcx},~{r9},~{r10},~{r11},~{memory}"
    text = f"""@inline
def call{count}({": u64, ".join(values)}: u64) -> i64:
    return asm("syscall", "{constraints}", {", ".join(values)}, returns=i64)
"""
    return from_text(text, f"call{count}", globals())


call0, call1, call2, call3, call4 = map(_system_call, range(5))


def call(declared: F) -> F:
    """A function that is declared so makes the call of its name, with its arguments."""
    name, values = declared.__name__, list(inspect.signature(declared).parameters)
    body = f"    return call{len(values)}({', '.join([f'Call.{name.upper()}', *values])})\n"
    made: F = from_text(inspect.getsource(declared).replace("@call", "@inline", 1) + body, name, globals())
    return made


@call
def null() -> i64:
    """Enters the kernel and returns 0."""


@inline
def console_write(text: bytes) -> i64:
    """Writes up to CONSOLE_WRITE_LIMIT bytes to the serial port. Returns the count, BAD_ARGUMENT or BAD_ADDRESS."""
    if len(text) == 0:
        return 0
    return call2(Call.CONSOLE_WRITE, u64(addr(text[0])), len(text))


@inline
@noreturn
def exit(status: i64) -> None:
    """Ends the caller, and if it is environment 0 the machine: the low 8 bits of `status` reach the host's shell."""
    call1(Call.EXIT, u64(status))
    unreachable()


@call
def frame_claim(frame: u64) -> i64:
    """Claims the free frame of that number (physical address / PAGE_BYTES), or ANY, filled with zeros. Returns the
    number, NO_FRAMES, BUSY: not free, NO_ROOM while an overdue order wants frames back, or BAD_ARGUMENT: there is none.
    """


@call
def frame_release(frame: u64) -> i64:
    """Gives up a frame of the caller's, which is unmapped. Returns 0, NOT_OWNER, or IN_USE when somebody has bound it
    (break it first) or it is pinned.
    """


@call
def frame_break(frame: u64) -> i64:
    """Ends bindings of others to a frame of the caller's, with their mappings, and makes all its capabilities stale.

    Returns 0 when none is left, 1 when there are more than this call had time for: make it again; NOT_OWNER.
    """


@call
def frame_pin(frame: u64, pinned: u64) -> i64:
    """Pins a frame of the caller's (1), so that it stays where it is, or ends that (0). Returns 0, NOT_OWNER,
    BAD_ARGUMENT or NO_ROOM after PINNED_FRAMES.
    """


@call
def frame_guarantee(frame: u64, guaranteed: u64) -> i64:
    """Counts a frame of the caller's among those that are never taken by force (1), or no longer (0). Returns 0,
    NOT_OWNER, BAD_ARGUMENT or NO_ROOM after GUARANTEED_FRAMES.
    """


@call
def frame_give(frame: u64, environment: u64) -> i64:
    """Makes `environment` the owner of a frame of the caller's, with its contents; the caller's mapping ends. Returns
    0, NOT_OWNER, NO_ENVIRONMENT, IN_USE when it is bound or has a flag, or NO_ROOM while that one is to give frames back.
    """


@call
def tlb_insert(virtual_page: u64, frame: u64, rights: u64) -> i64:
    """Maps the caller's `frame` at `virtual_page` (address / PAGE_BYTES), in place of what was mapped there.

    `rights`: `Right` bits and a protection key; only the low byte counts. NONE removes the mapping and ignores `frame`.
    A public frame (`FrameKind.PUBLIC`) can be anybody's `frame`, at any number of pages, without WRITE.
    Returns 0, NO_NODE, NOT_OWNER, IN_USE when the frame is mapped at another page or the page is in a large one, or
    BAD_ARGUMENT for a page at or above USER_LIMIT and for WRITE with EXECUTE.
    """


@call
def capability_mint(name: u64, rights: u64) -> i64:
    """The MAC of a capability of the caller's resource `name` (Kind.FRAME << NAME_INDEX_BITS | frame). `rights`: `Right` bits,
    and from bit 32 on the generation. Returns the MAC, NOT_OWNER, STALE: not the present generation, or BAD_ARGUMENT.
    """


@call
def capability_weaken(name: u64, rights: u64, mac: u64, fewer: u64) -> i64:
    """The MAC of a capability with `fewer` rights (and the same generation) than the one given. Everybody may do this.
    Returns the MAC, FORGED or BAD_ARGUMENT.
    """


@call
def bind(slot: u64, name: u64, rights: u64, mac: u64) -> i64:
    """Checks a capability and notes it in `slot` (below BINDINGS), where its use costs no check. Returns 0, FORGED,
    STALE, IN_USE when the slot is taken or BAD_ARGUMENT.
    """


@call
def unbind(slot: u64) -> i64:
    """Ends a binding and its mapping. Returns 0, also when there is none, or BAD_ARGUMENT."""


@call
def tlb_insert_bound(virtual_page: u64, slot: u64, rights: u64) -> i64:
    """Maps the frame that `slot` binds at `virtual_page`, in place of what was mapped there. A binding maps at one page.

    Returns 0, NO_NODE, NOT_PERMITTED when nothing is bound there or it allows less, IN_USE when it is mapped at another
    page or the page is in a large one, or BAD_ARGUMENT.
    """


@inline
def tlb_insert_batch(virtual_page: u64, frames: Span[u64], rights: u64) -> i64:
    """Maps up to BATCH frames of the caller's from `virtual_page` on, as `tlb_insert` would, until one cannot be mapped.
    Returns how many were; if none, the first's error (NO_NODE, NOT_OWNER, IN_USE), BAD_ADDRESS or BAD_ARGUMENT.
    """
    if len(frames) == 0:
        return 0
    return call4(Call.TLB_INSERT_BATCH, virtual_page, u64(addr(frames[0])), len(frames), rights)


@call
def tlb_insert_large(virtual_page: u64, first_frame: u64, rights: u64) -> i64:
    """Maps LARGE_PAGES frames of the caller's from `first_frame` on at `virtual_page`, as one entry of the processor's;
    both are multiples of LARGE_PAGES. `tlb_remove` with any page of it removes it.

    Returns 0, NOT_OWNER, IN_USE (a frame is mapped, or there is a table node: remove it first) or BAD_ARGUMENT.
    """


@call
def tlb_protect(virtual_page: u64, count: u64, rights: u64) -> i64:
    """Changes what `count` (1 to BATCH) mappings from `virtual_page` on allow. Pages that are not mapped are left alone.

    Returns 0, BAD_ARGUMENT, or NOT_OWNER when one is a mapping of the kernel's or of a public frame (insert that anew),
    or its binding allows less: the pages before it are changed then.
    """


@call
def tlb_remove(virtual_page: u64, count: u64) -> i64:
    """Removes `count` (1 to BATCH) mappings from `virtual_page` on, where there are any. Returns 0 or BAD_ARGUMENT."""


@call
def tlb_node(virtual_page: u64, frame: u64) -> i64:
    """Donates the caller's `frame` as the table node of the 512 pages around `virtual_page`.

    The frame must not be mapped nor bound. Its contents are lost and it cannot be mapped any more. Returns 0 (also
    when there is a node already: the frame is left alone), NOT_OWNER, IN_USE: a large page is there, or BAD_ARGUMENT.
    """


@call
def tlb_node_remove(virtual_page: u64) -> i64:
    """Takes back the table node of the 512 pages around `virtual_page`, none of which may be mapped: the frame is an
    ordinary one again. Returns its number, NO_NODE, IN_USE or BAD_ARGUMENT.
    """


DESTROYED = [*Registers.__annotations__][:-1]  # all but `rax`
YIELDING = ",".join(["={rax},{rax},{rdi}", *(f"~{{{name}}}" for name in [*DESTROYED, "memory", "flags"])])


@inline
def yield_to(environment: u64) -> i64:
    """Gives the rest of the slice to `environment` (or ANY_ENVIRONMENT), of which the low 8 bits count. Returns 0 when
    the caller runs again, or NOT_RUNNABLE at once. All registers but `rsp` are destroyed: nothing has to be saved.
    """
    return asm("syscall", YIELDING, u64(Call.YIELD_TO), environment, returns=i64)


@call
def wait(deadline: u64) -> i64:
    """Sleeps until an event is pending that is not masked, or until the timestamp counter has passed `deadline`
    (FOREVER: no deadline).

    Returns the pending events that are not masked: 0 means that the deadline passed. Deadlines are checked at slice
    boundaries. BUSY: the caller serves a transfer, so its caller's time would go nowhere.
    """


@inline
def network_bind(ring: ReceiveRing) -> i64:
    """Receives every Ethernet frame into `ring`, whose pages must be the caller's own and mapped writable; its filters end.
    The kernel keeps to the frames behind them, whatever is mapped there later; both indices start at 0. Returns 0,
    NO_NETWORK, BUSY when another environment receives anything, BAD_ADDRESS or NOT_OWNER.
    """
    return call1(Call.NETWORK_BIND, u64(addr(ring)))


@call
def network_transmit(address: u64, length: u64) -> i64:
    """Sends a copy of the Ethernet frame of `length` bytes (14 to TRANSMIT_LIMIT) at `address`. Returns 0, NO_NETWORK, BUSY
    (others receive frames and the caller does not), BAD_ARGUMENT, BAD_ADDRESS or QUEUE_FULL.
    """


@call
def network_send(slots: u64, count: u64) -> i64:
    """Has the device read `count` SendSlots (0: only look what was read) in writable pages of the caller's own. Until a slot's
    `busy` is 0 its page's frame cannot be given up. Returns how many it took, the first ones, or why none: NO_NETWORK, BUSY
    as `network_transmit`, BAD_ARGUMENT, BAD_ADDRESS, NOT_OWNER or QUEUE_FULL.
    """


@call
def filter_bind(ring: u64, atoms: u64, count: u64, slot: u64) -> i64:
    """Receives what matches all atoms into `ring`, new as for `network_bind` or another of the caller's filters'. `slot`
    binds a filter whose owner allows more and less specific ones; the most specific gets a frame. Returns its number and,
    from bit 32 on, generation; IN_USE: it equals another or shares frames with another owner's; NO_ROOM: the others are
    reserved; NO_NETWORK, NOT_PERMITTED, BAD_ADDRESS, NOT_OWNER, BAD_ARGUMENT: no frame can match.
    """


@call
def filter_remove(filter: u64) -> i64:
    """Ends the caller's filter that `filter_bind` called so, its generation included. Returns 0, NOT_OWNER or BAD_ARGUMENT."""


@call
def capture_bind(ring: u64, slot: u64) -> i64:
    """Receives copies of all frames that come into `ring`, as for `filter_bind`, if `slot` binds `Kind.CAPTURE`, with
    Right.WRITE also of those that are sent. `slot` ANY ends it. Returns 0, NO_NETWORK, BUSY: four others capture, NO_ROOM,
    NOT_PERMITTED, BAD_ADDRESS, NOT_OWNER or BAD_ARGUMENT.
    """


@call
def slice_claim(position: u64) -> i64:
    """Claims the time slice at `position`, or ANY. Returns the position, BUSY, NO_SLICES or BAD_ARGUMENT."""


@call
def slice_release(position: u64) -> i64:
    """Gives up a slice. Its owner may give up the one that runs: it ends at the next tick. Returns 0 or NOT_OWNER."""


@call
def slice_give(position: u64, environment: u64) -> i64:
    """Makes `environment` the owner of a slice of the caller's. Returns 0, NOT_OWNER, or NOT_RUNNABLE if there is none."""


MESSAGE = ("rsi", "rdx", "r8", "r9", "r10", "r12", "r13", "r14")  # what carries a message
PRESERVED = ("rbx", "rbp", "r12", "r13", "r14", "r15")  # by functions


@struct
class Message:
    """What the stubs of transfers carry over, in the registers MESSAGE."""

    words: Array[u64, 8]


def saving(*places: str) -> tuple[str, str]:
    """Assembly that pushes registers or words of memory, and that pops them again."""
    return "\n".join(f"push {place}" for place in places), "\n".join(f"pop {place}" for place in reversed(places))


RETURN_ENTRY = ENVIRONMENT_ADDRESS + offsetof(EnvironmentPage, "transfer_return_entry")
TRANSFER_STACK = ENVIRONMENT_ADDRESS + offsetof(EnvironmentPage, "transfer_stack")
PUSH_PRESERVED, POP_PRESERVED = saving(*PRESERVED)
PUSH_ENTRY, POP_ENTRY = saving(f"qword ptr [{RETURN_ENTRY}]", f"qword ptr [{TRANSFER_STACK}]")
# A message, which `rsi` points to and is the last to be loaded; and back, to where `rdi` points.
LOAD = "\n".join(f"mov {register}, qword ptr [rsi + {8 * i}]" for i, register in reversed([*enumerate(MESSAGE)]))
STORE = "\n".join(f"mov qword ptr [rdi + {8 * i}], {register}" for i, register in enumerate(MESSAGE))
CLEAR = "xor ebx, ebx\nxor ebp, ebp\nxor r15d, r15d"  # what is no message is nobody's business


@naked
def transfer(environment: u64, message: Message) -> i64:
    """Calls `environment` (its low 8 bits count) and waits for its answer, which replaces `message`.

    It continues at its `transfer_entry` with the caller's number in `rax` and runs in the caller's slices until its
    `transfer_back`. No other register of the caller's reaches it. Returns the callee's number; NOT_RUNNABLE, NO_ENTRY
    or BUSY (it serves or waits for another), and nothing has happened; or PARTNER_LOST when it ended before it answered.
    """
    asm("""
        {PUSH_PRESERVED}
        push rsi
        {PUSH_ENTRY}
        mov qword ptr [{TRANSFER_STACK}], rsp
        lea rax, [rip + 2f]
        mov dword ptr [{RETURN_ENTRY}], eax
        {LOAD}
        {CLEAR}
        mov eax, {Call.TRANSFER}
        syscall
    2:
        mov rsp, qword ptr [{TRANSFER_STACK}]
        {POP_ENTRY}
        pop rdi
        {STORE}
        {POP_PRESERVED}
        ret
    """)


@call
def transfer_back() -> i64:
    """Answers the caller: it continues at its `transfer_return_entry` with this environment's number in `rax` and all
    other registers as they are here. After an asynchronous transfer, or when the caller has ended: continues with what
    this environment did before it was called. Returns NO_CALLER, or not at all.
    """


@naked
def transfer_asynchronous(environment: u64, message: Message) -> i64:
    """Gives the rest of the slice and `message` to `environment`, which continues at its `transfer_asynchronous_entry`
    with the caller's number in `rax`, and nothing else of the caller's. Returns 0 when the caller runs again; at once
    NOT_RUNNABLE, NO_ENTRY or BUSY (it serves or waits for another).
    """
    asm("""
        {PUSH_PRESERVED}
        {LOAD}
        {CLEAR}
        mov eax, {Call.TRANSFER_ASYNCHRONOUS}
        syscall
        {POP_PRESERVED}
        ret
    """)


@call
def floating_point(wanted: u64) -> i64:
    """1: the caller may use floating-point and vector registers (x87, SSE, AVX) from now on; it finds them as after a
    reset. 0: not any more; they are lost. Without them their use is exception 7. Yields and transfers do not carry
    them over, but the caller finds its own again. Returns 0 or BAD_ARGUMENT.
    """


@call
def protection_keys(wanted: u64) -> i64:
    """1: from now on the protection keys in the rights of the caller's mappings count, and it may use `rdpkru` and `wrpkru`;
    all keys allow everything at first. 0: not any more. Others are not affected. Returns 0, NO_KEYS or BAD_ARGUMENT.
    """


@inline
@noreturn
def exception_return() -> None:
    """Continues where `exception_frame` says, with `rcx` and `r11` from there and `rax` from its `address`; all other
    registers are as they are. Needed only for single steps: with the trap flag set no instruction of the way back is
    stepped into. Store the entry again before.
    """
    call0(Call.EXCEPTION_RETURN)
    unreachable()


@call
def line_bind(slot: u64) -> i64:
    """Makes the caller the owner of the device line that `slot` binds, which from now on may fire: it is then masked,
    its bit set in `EnvironmentPage.lines`, and LINE is pending. Returns 0, BUSY or NOT_PERMITTED.
    """


@call
def line_unmask(line: u64) -> i64:
    """Lets a line of the caller's fire again, at once if its device still wants to. Returns 0 or NOT_OWNER."""


@call
def console_read() -> i64:
    """The next byte typed, for the owner of CONSOLE_LINE, or anybody while nobody owns it; or NO_INPUT or BUSY."""


@call
def frame_claim_table(frame: u64) -> i64:
    """Claims a free frame, or ANY, with what is in it: it cannot be mapped, only become a table (`tlb_node`,
    `environment_create`, `environment_node`) or be released. Returns as `frame_claim`: NO_FRAMES, BUSY, NO_ROOM.
    """


@call
def frame_claim_copy(virtual_page: u64) -> i64:
    """Claims any free frame, as a copy of what is mapped at a page of the caller's now (a large page excepted). Returns
    as `frame_claim`: NO_FRAMES, NO_ROOM; BAD_ADDRESS when nothing is mapped there, or BAD_ARGUMENT.
    """


@call
def slice_take(slot: u64) -> i64:
    """Makes the caller the owner of the slice that `slot` binds; the binding ends. Returns 0 or NOT_PERMITTED."""


@inline
def environment_create(slot: u64, number: u64, frames: Array[u64, ENVIRONMENT_FRAMES]) -> i64:
    """Makes environment `number` (or ANY) of frames of the caller's: five for its tables, then its environment page,
    its kernel page and its binding page. The environment page keeps what the caller has written into it; of the others
    the contents are lost, so they may come from `frame_claim_table`. `slot` binds it, with all rights.

    Returns the number; NO_ROOM when there is none, BUSY when it is not free, IN_USE when the slot is taken,
    BAD_ADDRESS, or NOT_OWNER when a frame is not the caller's or in use: those before it can then only become tables.
    """
    return call3(Call.ENVIRONMENT_CREATE, slot, number, u64(addr(frames[0])))


@call
def environment_give(slot: u64, virtual_page: u64, frame: u64, rights: u64) -> i64:
    """Gives a frame of the caller's to the environment that `slot` binds, mapped at its `virtual_page` in place of what is
    there; a public one is only mapped. Returns 0, NOT_PERMITTED, NO_NODE, NOT_OWNER, IN_USE, NO_ROOM or BAD_ARGUMENT.
    """


@call
def environment_node(slot: u64, virtual_page: u64, frame: u64) -> i64:
    """Donates the caller's `frame` as a table node of the environment that `slot` binds, as `tlb_node` does. Returns 0,
    NOT_PERMITTED, NOT_OWNER, IN_USE or BAD_ARGUMENT.
    """


@inline
def environment_share(slot: u64, virtual_page: u64, count: u64, first_slot: u64, rights: u64) -> i64:
    """Maps what the caller has mapped at `count` (1 to BATCH) pages at the same pages of the environment that `slot`
    binds, with no more than `rights`: its own frames and bound ones each through a binding of that environment's, from
    `first_slot` on; public ones as they are. Other pages are passed over. With INHERIT in `rights`, when the owner of a
    frame ends who mapped it last by such a binding becomes its owner.

    Returns how many pages it looked at; fewer than `count` when it could not go on, which if it is the first is the
    error: NO_NODE, IN_USE when there is a large page, NO_ROOM when the slot is taken; else NOT_PERMITTED or BAD_ARGUMENT.
    """
    return call4(Call.ENVIRONMENT_SHARE, slot, virtual_page, count, first_slot << 8 | rights)


@call
def environment_start(slot: u64, ip: u64, sp: u64) -> i64:
    """Lets the environment that `slot` binds run, from `ip` on, all other registers but `rsp` zero, once it has a slice
    or is yielded to. Returns 0, NOT_PERMITTED, BUSY when it runs already, or BAD_ARGUMENT.
    """


@call
def environment_end(slot: u64, status: u64) -> i64:
    """Ends the environment that `slot` binds, and the binding. Capabilities of its own children environment 0 mints from
    now on. Returns 0, NOT_PERMITTED, or BAD_ARGUMENT for the caller itself and for environment 0.
    """


@call
def revoke(slot: u64, environment: u64, count: u64, deadline: u64) -> i64:
    """Asks an environment for `count` frames or slices, by the authority that `slot` binds: `EnvironmentPage.wanted`
    and event REVOKE. What it has not given back when the timestamp counter reaches `deadline` is taken at the following
    ticks, never what is guaranteed, pinned or a table, nor the last slice; event REPOSSESSED.

    Returns 0, NOT_PERMITTED, NO_ENVIRONMENT, or BUSY while an order for the same is pending.
    """


@inline
def shutdown(status: i64) -> i64:
    """Ends the machine with `status`. Only for environment 0; the others get NOT_PERMITTED."""
    return call1(Call.SHUTDOWN, u64(status))
