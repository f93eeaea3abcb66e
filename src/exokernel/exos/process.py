# SPDX-License-Identifier: MIT
"""Processes: spawn, fork, exec, exit, wait, kill, as a library (5.4, 6.2). A process is an environment with a number in
a table, and the table is a page that the family shares: all who were started by `spawn`, `fork` and `exec` from the
process that made it. Relatives trust each other: what one writes there can confuse the others, and the capability by
which each can be ended stands there. Who is not to be trusted is started by `spawn_apart` and does not see the page.

Nothing here trusts the table so far that the kernel's word is not asked: whether somebody still runs, and its status,
are in the system page. A process that ends leaves nothing to be done: the kernel makes its frames those of the
relatives that have them mapped (`Right.INHERIT`), so neither a parent that ends first nor one that is killed takes
memory from its children, and no copy is needed for it.

Errors are negative: the kernel's (`abi.Error`), those of `files`, and ProcessError's. Whatever fails, what was claimed
for it has been given back.
"""

from enum import IntEnum

from exokernel.aegis import abi
from exokernel.aegis.abi import (
    ANY,
    BINDINGS,
    BundleProgram,
    EnvironmentPage,
    Error,
    Event,
    Kind,
    Right,
    State,
)
from exokernel.exos import aegis, arguments, console, critical, files, slots, vm
from exokernel.exos.arguments import Arguments, Beginning
from exokernel.exos.slots import NOTHING
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import *

PAGE = abi.PAGE_BYTES
TABLE = abi.SYSTEM_ADDRESS // PAGE + 1  # pages beside the kernel's two, where every environment has a table node
SCRATCH = TABLE + 1
PROCESSES = 128  # in a table; a power of two
POOR = abi.ENVIRONMENTS  # the entry that notes it, for all
STACK_PAGES = abi.STACK_BYTES // PAGE
TABLE_SLOT = 0  # that binds the table in a child; nobody else takes it
STACK_USED = 2048  # more than what `fork` needs
KEPT_SLOTS = 32  # binding slots that a fork leaves free in the child
UNHANDLED = 128  # plus the vector: the status of who was ended by an exception
KILLED = UNHANDLED + 9  # the status of who was killed: no exception has this vector any more
UNKNOWN = 1 << 32  # the status of who ended long ago, when others have had its environment's number since
PAGE_PART = 5  # which of an environment's frames is its page
FORK_TRIES = 8
LOOK_AGAIN = 1000  # waits per second of who may not be told that a child ended


class ProcessError(IntEnum):
    """What else than the kernel's errors the functions here answer."""

    NO_PROCESS = -110  # the table has no process of this number
    NO_CHILD = -111  # there is no such child to wait for
    NOT_YET = -112  # none has ended
    TABLE_FULL = -113
    THREADS = -114  # a process that has made threads does not fork


class Stage:
    """Of a process: the lowest byte of `Process.word`."""

    FREE = 0  # the entry is nobody's
    MADE = 1  # not yet started
    STARTED = 3  # whether it still runs, the kernel knows
    LEFT = 7  # by `exit`, with `status`
    NOTED = 15  # ended otherwise, with `status`


@struct(volatile=True)
class Process:
    word: u64  # stage; from bit 8 on the parent's number; from bit 32 on the process's: its low bits are its place
    where: u64  # environment, and from bit 32 on its generation
    mac: u64  # of the capability for that environment
    status: u32
    note: u32  # of entry n below ENVIRONMENTS: the last process in environment n; of POOR: whether one has no slice


stack_pages: u64 = 4  # that a process is given by `spawn`, at most STACK_PAGES


# ---- the table


@inline
def at(number: u64) -> Process:
    """The entry where a process of that number has to be."""
    return Ptr[Process](TABLE * PAGE)[number % PROCESSES]


@inline
def stage_of(word: u64) -> u64:
    return word & 0xFF


@inline
def parent_of(word: u64) -> u64:
    return word >> 8 & 0xFFFFFF


def exists(number: u64) -> bool:
    """Whether the table, if there is one, has a process of that number; it may have ended without anybody asking."""
    if own_number() == 0 or number == 0:
        return False
    return at(number).word >> 32 == number and stage_of(at(number).word) != Stage.FREE


def attach() -> i64:
    """See that this process has a table and is in it. Returns its number, or an error of the kernel's."""
    beginning = arguments.beginning()
    if beginning.number == 0:
        frame = claim()
        if frame < 0:
            return frame
        aegis.tlb_insert(TABLE, u64(frame), Right.WRITE)
        own = take_entry(0)
        at(own).where = where_is(aegis.environment_page().identifier)
        at(own).word |= Stage.STARTED
        beginning.number = u32(own)
    return i64(beginning.number)


def take_entry(parent: u64) -> u64:
    """The number of a process that is going to be, or NOTHING when the table is full."""
    for _ in range(2):
        for i in range(PROCESSES):
            word = at(i).word
            if stage_of(word) == Stage.FREE:
                number = max((word >> 32) // PROCESSES + 1 & 0x1FFFF, 1) * PROCESSES + i
                if atomic_compare_exchange(addr(at(i).word), word, number << 32 | parent << 8 | Stage.MADE):
                    return number
        collect()
    return NOTHING


def free_entry(word: u64) -> bool:
    """End the use of an entry, whose word was that; False if it is another by now."""
    return atomic_compare_exchange(addr(at(word >> 32).word), word, word & ~u64(0xFFFFFFFF))


def collect() -> None:
    """Free the entries of those that have ended and whose parents have: nobody will ask for them."""
    for i in range(PROCESSES):
        word = at(i).word
        if stage_of(word) != Stage.FREE and not is_running(parent_of(word)):
            if stage_of(word) == Stage.MADE or not is_running(word >> 32):
                free_entry(word)


def is_running(number: u64) -> bool:
    """Whether there is a process of that number and it has not ended."""
    return exists(number) and stage_of(at(number).word) != Stage.MADE and not has_ended(at(number).where)


def where_is(environment: u64) -> u64:
    """An environment with its present generation, as in `Process.where`."""
    return u64(aegis.system_page().environments[environment].generation) << 32 | environment


def outcome(where: u64) -> tuple[bool, i64]:
    """Whether that environment has ended, and its status."""
    known = aegis.system_page().environments[where % abi.ENVIRONMENTS]
    while True:
        generation, state, status = known.generation, known.state, known.status
        if generation == known.generation:
            break
    ended = state == State.FREE or state == State.ENDED
    if generation == u32(where >> 32):
        return ended, i64(i32(status))
    return True, i64(i32(status)) if generation == u32(where >> 32) + 1 and not ended else i64(UNKNOWN)


def has_ended(where: u64) -> bool:
    ended, _ = outcome(where)
    return ended


def note_last(environment: u64) -> None:
    """Write down the status of a relative who had this environment's number before: now the kernel still knows it."""
    if own_number() != 0:
        last = at(u64(at(environment).note))
        if last.where == where_is(environment) - (1 << 32):
            note_end(last.word, i64(aegis.system_page().environments[environment].status))


def note_end(word: u64, status: i64) -> None:
    """Write down the status of a process whose word was that, unless it has done it."""
    if stage_of(word) == Stage.STARTED:
        at(word >> 32).status = u32(status)
        atomic_compare_exchange(addr(at(word >> 32).word), word, word | Stage.NOTED)


@inline
def own_number() -> u64:
    """0 before `attach`."""
    return u64(arguments.beginning().number)


def parent() -> u64:
    """The number of this process's parent; 0 if it has none (any more)."""
    number = parent_of(at(own_number()).word) if own_number() != 0 else u64(0)
    return number if number != 0 and is_running(number) else 0


# ---- memory


def claim() -> i64:
    """A frame of zeros, or NO_FRAMES: also those that are on their way back have come."""
    frame = vm.claim()
    while frame < 0 and is_somebody_ending():
        frame = vm.claim()
    return frame


def claim_copy(page: u64) -> i64:
    """A frame with what is at a page, or NO_FRAMES."""
    frame = vm.claim_copy(page)
    while frame < 0 and is_somebody_ending():
        frame = vm.claim_copy(page)
    return frame


def claim_table() -> i64:
    """A frame for a table, or NO_FRAMES."""
    frame = aegis.frame_claim_table(ANY)
    if frame < 0:
        frame = claim()
    return frame


def is_somebody_ending() -> bool:
    """Whether the kernel is taking environments apart: each claim and each creation does a part of that."""
    for status in aegis.system_page().environments:
        if status.state == State.ENDED:
            return True
    return False


def begin_page() -> i64:
    """A new environment page, at SCRATCH to be filled. Returns its frame or NO_FRAMES."""
    frame = claim()
    if frame >= 0:
        aegis.tlb_insert(SCRATCH, u64(frame), Right.WRITE)
    return frame


def create(page: u64) -> tuple[i64, u64]:
    """An environment with that page, which else is released. Returns its binding slot, or an error; and its number."""
    parts = Array[u64, abi.ENVIRONMENT_FRAMES]()
    error: i64 = 0
    for i in range(u64(len(parts))):
        frame = i64(page) if i == PAGE_PART else claim_table()
        if frame < 0:
            error = frame
        parts[i] = u64(max(frame, 0))
    slot = slots.take(slots.bindings, 1)
    if slot == NOTHING:
        error = Error.NO_ROOM
    if error == 0:
        error = aegis.environment_create(slot, ANY, parts)
        while error == Error.NO_ROOM and is_somebody_ending():
            error = aegis.environment_create(slot, ANY, parts)
    if error >= 0:
        note_last(u64(error))
        return i64(slot), u64(error)
    for part in parts:
        if part != 0:
            aegis.frame_release(part)
    if slot != NOTHING:
        slots.release(slots.bindings, slot, 1)
    return error, 0


def give(slot: u64, page: u64, frame: u64, rights: u64) -> i64:
    """Give a frame to a new environment, or show it a public one. Returns 0, or NO_FRAMES, and the frame is released."""
    error = aegis.environment_give(slot, page, frame, rights)
    if error == Error.NO_NODE:
        error = give_node(slot, page)
        if error == 0:
            error = aegis.environment_give(slot, page, frame, rights)
    if error != 0:
        aegis.frame_release(frame)
    return error


def give_node(slot: u64, page: u64) -> i64:
    """Give a new environment a table node. Returns 0 or NO_FRAMES."""
    node = claim_table()
    return aegis.environment_node(slot, page, u64(node)) if node >= 0 else node


def share(slot: u64, page: u64, count: u64, first_slot: u64, rights: u64) -> i64:
    """`environment_share` of all these pages. Returns 0 or the kernel's error."""
    while count != 0:
        done = aegis.environment_share(slot, page, count, first_slot, rights)
        if done == Error.NO_NODE:
            done = give_node(slot, page)
        if done < 0:
            return done
        page += u64(done)
        count -= u64(done)
        first_slot += u64(done)
    return 0


def give_copy(slot: u64, page: u64, rights: u64) -> i64:
    """Give a new environment a copy of one of our pages. Returns 0 or NO_FRAMES."""
    frame = claim_copy(page)
    return give(slot, page, u64(frame), rights) if frame >= 0 else frame


# ---- starting


ALL = Right.READ | Right.WRITE | Right.EXECUTE


@inline
def name_of(environment: u64) -> u64:
    return u64(Kind.ENVIRONMENT) << abi.NAME_INDEX_BITS | environment


def enter_table(number: u64, environment: u64) -> None:
    """A process is from now on what runs in an environment that this one has created."""
    where = where_is(environment)
    at(number).mac = u64(aegis.capability_mint(name_of(environment), where >> 32 << 32 | ALL))
    at(number).where = where
    at(environment).note = u32(number)
    at(number).word |= Stage.STARTED


def start(slot: u64, environment: u64, ip: u64, sp: u64) -> None:
    """Let what was created run; the slot is free then."""
    aegis.environment_start(slot, ip, sp)
    aegis.unbind(slot)
    slots.release(slots.bindings, slot, 1)


def give_slice(environment: u64) -> bool:
    """Give a slice that nobody has to an environment; False if there is none: then it runs when it is yielded to."""
    position = aegis.slice_claim(ANY)
    return position >= 0 and aegis.slice_give(u64(position), environment) == 0


def give_relative_slice(environment: u64) -> None:
    """The same for one of the family; without a slice it is remembered by who waits."""
    if not give_slice(environment):
        at(POOR).note = 1


def abandon(slot: u64) -> None:
    """End what was created and has not been started."""
    aegis.environment_end(slot, 0)
    aegis.unbind(slot)
    slots.release(slots.bindings, slot, 1)


# ---- spawn and exec


def load(name: bytes, given: Arguments, number: u64, replaced: bool) -> tuple[i64, u64, u64]:
    """An environment with a program of the bundle, its arguments and a stack, for a process of a number (0: of no
    table). Returns the slot that gives power over it, or an error; its number; where it begins.
    """
    found = files.find_program(name)
    if found < 0:
        return found, 0, 0
    if given.used > arguments.BYTES:
        return Error.BAD_ARGUMENT, 0, 0
    program = files.programs()[u64(found)]
    page = begin_page()
    if page < 0:
        return page, 0, 0
    prepared = Ptr[EnvironmentPage](SCRATCH * PAGE)[0]
    prepared.name.copy_from(program.name)
    beginning = Ptr[Beginning](SCRATCH * PAGE + offsetof(EnvironmentPage, "application"))[0]
    beginning.number = u32(number)
    beginning.replaced = u32(replaced)
    beginning.arguments.used = given.used
    beginning.arguments.count = given.count
    beginning.arguments.text[: u64(given.used)].copy_from(given.text[: u64(given.used)])
    slot, environment = create(u64(page))
    if slot < 0:
        return slot, 0, 0
    error = fill(u64(slot), program)
    if error == 0 and number != 0:
        error = share(u64(slot), TABLE, 1, TABLE_SLOT, Right.READ | Right.WRITE | Right.INHERIT)
    if error != 0:
        abandon(u64(slot))
        return error, 0, 0
    return slot, environment, program.entry


def fill(slot: u64, program: BundleProgram) -> i64:
    """Give a new environment a program's segments and a stack. Returns 0 or an error."""
    for i in range(u64(program.segment_count)):
        segment = program.segments[i]
        frame = files.first_frame(segment)
        rights: u64 = Right.EXECUTE if segment.flags & abi.MAY_EXECUTE else u64(Right.READ)
        for done in range(0, segment.memory_bytes, PAGE):
            left = segment.file_bytes - min(done, segment.file_bytes)
            page = (segment.virtual + done) // PAGE
            error = (
                give_data(slot, page, segment.offset + done, min(left, PAGE))
                if segment.flags & abi.MAY_WRITE or left == 0
                else give(slot, page, frame + done // PAGE, rights)
            )
            if error != 0:
                return error
    for i in range(1, min(stack_pages, STACK_PAGES) + 1):
        error = give_data(slot, abi.STACK_TOP // PAGE - i, 0, 0)
        if error != 0:
            return error
    return 0


def give_data(slot: u64, page: u64, offset: u64, size: u64) -> i64:
    """Give a new environment a page that begins with bytes of the bundle. Returns 0 or an error."""
    source, error = files.view_part(offset, size)
    frame = claim() if error == 0 else error
    if frame < 0:
        return frame
    if size != 0:
        aegis.tlb_insert(SCRATCH, u64(frame), Right.WRITE)
        Span[u8](Ptr[u8](SCRATCH * PAGE), size).copy_from(source)
    return give(slot, page, u64(frame), Right.WRITE)


def spawn(program: bytes, given: Arguments) -> i64:
    """Start a program of the bundle as a child. Returns its number, or an error: NOT_FOUND, DAMAGED, NO_FRAMES, NO_ROOM
    (no environment or binding slot is free), TABLE_FULL.
    """
    own = attach()
    number = take_entry(u64(own)) if own >= 0 else NOTHING
    if number == NOTHING:
        return own if own < 0 else i64(ProcessError.TABLE_FULL)
    slot, environment, entry = load(program, given, number, False)
    if slot < 0:
        free_entry(at(number).word)
        return slot
    begin(u64(slot), environment, number, entry, abi.STACK_TOP)
    return i64(number)


def begin(slot: u64, environment: u64, number: u64, ip: u64, sp: u64) -> None:
    """Let a new child run."""
    enter_table(number, environment)
    give_relative_slice(environment)
    start(slot, environment, ip, sp)


def spawn_apart(program: bytes, given: Arguments) -> i64:
    """Start a program that is not trusted, nor waited for. Returns its environment's number, or an error as `spawn`."""
    slot, environment, entry = load(program, given, 0, False)
    if slot < 0:
        return slot
    give_slice(environment)
    start(u64(slot), environment, entry, abi.STACK_TOP)
    return i64(environment)


def exec(program: bytes, given: Arguments) -> i64:
    """Become a program of the bundle, in a new environment. Returns only an error, as `spawn`: nothing has changed."""
    own = attach()
    if own < 0:
        return own
    slot, environment, entry = load(program, given, u64(own), True)
    if slot < 0:
        return slot
    console.flush()
    enter_table(u64(own), environment)
    give_relative_slice(environment)  # not one of ours: without it we might never come to our end
    start(u64(slot), environment, entry, abi.STACK_TOP)
    aegis.exit(0)


# ---- fork


@naked
def fork() -> i64:
    """Make a child that is a copy of this process and goes on here too. Returns its number, in the child 0; or an error:
    NO_FRAMES, NO_ROOM, TABLE_FULL, BUSY (handlers kept changing memory), THREADS.

    Pages of SHARED regions stay the same memory, every other is copied by who writes to it first (BINDINGS - KEPT_SLOTS
    pages; those beyond are copied at once). Environments, lines and slices of the parent's are not the child's.
    """
    asm("""
        push rbp
        push rbx
        push r12
        push r13
        push r14
        push r15
        sub rsp, 8
        mov rdi, rsp
        call {fork_from}
        add rsp, 8
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbx
        pop rbp
        ret
    """)


@naked
def go_on() -> None:
    """Where a child begins: returns from its parent's call of `fork`."""
    asm("""
        call {vm.inherit}
        xor eax, eax
        add rsp, 8
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbx
        pop rbp
        ret
    """)


def fork_from(stack: u64) -> i64:
    """`fork`, with the stack from which the child goes on."""
    if u64(critical.late[0]) != u64(critical.nobody):
        return ProcessError.THREADS  # the others would run in the child too
    own = attach()
    error = vm.start() if own >= 0 else own
    if error != 0:
        return error
    console.flush()  # or both would write it
    for _ in range(FORK_TRIES):
        copied = vm.state.copied
        number = take_entry(u64(own))
        if number == NOTHING:
            return ProcessError.TABLE_FULL
        page = claim_copy(abi.ENVIRONMENT_ADDRESS // PAGE)
        slot: i64 = page
        environment: u64 = 0
        if page >= 0:
            aegis.tlb_insert(SCRATCH, u64(page), Right.WRITE)
            prepare_environment_page(number)
            slot, environment = create(u64(page))
        if slot < 0:
            free_entry(at(number).word)
            return slot
        error = share_memory(u64(slot), (stack - STACK_USED) // PAGE, stack // PAGE)
        if error == 0 and vm.state.copied == copied:
            begin(u64(slot), environment, number, u64(go_on), stack)
            return i64(number)
        abandon(u64(slot))
        free_entry(at(number).word)
        if error != 0:
            return error
    return Error.BUSY


def prepare_environment_page(number: u64) -> None:
    """Handlers, name and arguments are the same in a child."""
    prepared = Ptr[EnvironmentPage](SCRATCH * PAGE)[0]
    prepared.pending = 0
    prepared.lines = 0
    prepared.wanted.fill(0)
    prepared.lost_count = 0
    beginning = Ptr[Beginning](SCRATCH * PAGE + offsetof(EnvironmentPage, "application"))[0]
    beginning.number = u32(number)
    beginning.replaced = 0


def share_memory(slot: u64, first: u64, last: u64) -> i64:
    """Let a new environment see what we see, and the first write to a page copy it. The stack on which this runs is copied
    now: a write of ours from here on would be missed in the child's page table. Returns 0 or an error.
    """
    error = share(slot, TABLE, 1, TABLE_SLOT, Right.READ | Right.WRITE | Right.INHERIT)
    taken = Array[u64, BINDINGS // 64]()  # of the child's binding slots
    taken.copy_from(slots.NONE)
    hidden = False
    for number in range(vm.state.regions_used + 1):
        page, end = vm.part(number)
        page, stop = vm.next_of_part(number, page, end)
        loose = number == vm.state.regions_used
        shared = not loose and vm.state.regions[number].flags & vm.Flag.SHARED != 0
        at_once = vm.next_at_once(page) if loose else NOTHING  # those among them are copied later
        while page != NOTHING and error == 0:
            count: u64 = 1
            kind = vm.entry_of(page).kind
            if at_once < page:
                at_once = vm.next_at_once(page)
            if kind == vm.Kind.LARGE:
                error = vm.split(page, False)
                count = 0
            elif kind == vm.Kind.HIDDEN or kind == vm.Kind.HIDDEN_BOUND:
                error = give_hidden(slot, page)
                hidden = True
            elif first <= page <= last:
                error = give_copy(slot, page, Right.WRITE)
            elif page != at_once and (kind == vm.Kind.PUBLIC or kind == vm.Kind.OWN or kind == vm.Kind.BOUND):
                count = vm.run(page, min(stop, at_once, first if page < first else NOTHING))
                error, count = share_run(slot, page, count, taken, shared)
            page += count
            if page >= stop or vm.entry_of(page).raw == 0:
                page, stop = vm.next_of_part(number, page, end)
    vm.state.inherited_slots.copy_from(taken)  # for the child: `state` is copied now
    vm.state.inherited_hidden = u64(hidden)
    page = vm.next_at_once(0)
    while page != NOTHING and error == 0:
        error = give_copy(slot, page, Right.WRITE)
        page = vm.next_at_once(page + 1)
    return error


def share_run(slot: u64, page: u64, count: u64, taken: Array[u64, BINDINGS // 64], shared: bool) -> tuple[i64, u64]:
    """Let a new environment see pages that are alike. It has bound them before we make them copy on write: so no write of
    ours finds a frame that nobody else has. Returns 0 or an error, and of how many pages that is true.
    """
    if not aegis.table_entry(page).present:
        vm.note_loss(page)
        return 0, 1
    if vm.entry_of(page).kind == vm.Kind.PUBLIC:
        return share(slot, page, count, 0, Right.READ | Right.EXECUTE), count
    first_slot, free = slots.free_from(taken, 0, BINDINGS if shared else u64(BINDINGS - KEPT_SLOTS), count)
    if free == 0:
        return (i64(Error.NO_ROOM) if shared else give_copy(slot, page, vm.rights_of(page))), 1
    slots.mark(taken, first_slot, free)
    rights: u64 = Right.READ | Right.EXECUTE | Right.INHERIT
    error = share(slot, page, free, first_slot, rights | Right.WRITE if shared else rights)
    return (vm.make_copy_on_write(page, free) if error == 0 and not shared else error), free


def give_hidden(slot: u64, page: u64) -> i64:
    """Copy a page on which nothing is allowed."""
    error = vm.protect(page, 1, Right.READ)
    if error == 0:
        error = give_copy(slot, page, Right.READ)
        vm.protect(page, 1, Right.NONE)
    return error


# ---- the end


@noreturn
def exit(status: i64) -> None:
    """End this process; its parent learns the low 32 bits of `status`. What was printed so far is written."""
    console.flush()
    if own_number() != 0:
        at(own_number()).status = u32(status)
        at(own_number()).word |= Stage.LEFT
    aegis.exit(status)


def kill(number: u64) -> i64:
    """End a process of the family, with status KILLED. Returns 0, also for who has ended, NO_PROCESS or a refusal."""
    if number == own_number() and number != 0:
        exit(KILLED)
    if not exists(number) or stage_of(at(number).word) == Stage.MADE:
        return ProcessError.NO_PROCESS
    error: i64 = 0
    where = at(number).where
    while not has_ended(where):
        word = at(number).word
        error = end_environment(where, at(number).mac)
        if at(number).where == where:
            if error == 0:
                note_end(word, KILLED)
            break
        where = at(number).where  # it went on elsewhere, by `exec`
    return error


def end_environment(where: u64, mac: u64) -> i64:
    """End an environment by a capability. Returns 0, NO_ROOM, or the kernel's refusal."""
    slot = slots.take(slots.bindings, 1)
    if slot == NOTHING:
        return Error.NO_ROOM
    error = aegis.bind(slot, name_of(where % abi.ENVIRONMENTS), where >> 32 << 32 | ALL, mac)
    if error == 0:
        error = aegis.environment_end(slot, KILLED)
    aegis.unbind(slot)
    slots.release(slots.bindings, slot, 1)
    return error


def wait(number: u64) -> tuple[i64, i64]:
    """Sleep until a child has ended: that of the number, or any for 0. Returns its number and its status, and then it is
    in the table no more; or NO_CHILD and 0. The status of who was ended by an exception is 128 + vector.
    """
    while True:
        found, status = try_wait(number)
        if found != ProcessError.NOT_YET:
            return found, status
        sleep()


def try_wait(number: u64) -> tuple[i64, i64]:
    """As `wait`, but NOT_YET instead of sleeping."""
    if aegis.environment_page().pending & Event.CHILD_ENDED:
        atomic_and(addr(aegis.environment_page().pending), ~u64(Event.CHILD_ENDED))
    if number != 0:
        return look(number)
    error: i64 = ProcessError.NO_CHILD
    if own_number() != 0:
        for i in range(PROCESSES):
            if parent_of(at(i).word) == own_number():
                found, status = look(at(i).word >> 32)
                if found >= 0:
                    return found, status
                if found == ProcessError.NOT_YET:
                    error = found
    return error, 0


def look(number: u64) -> tuple[i64, i64]:
    """Number and status of a child that has ended, and that is then forgotten; or NO_CHILD, NOT_YET."""
    if not exists(number):
        return ProcessError.NO_CHILD, 0
    word = at(number).word
    if parent_of(word) != own_number() or stage_of(word) == Stage.MADE:
        return ProcessError.NO_CHILD, 0
    ended, status = outcome(at(number).where)
    if not ended:
        return ProcessError.NOT_YET, 0
    word = at(number).word
    if stage_of(word) >= Stage.LEFT:
        status = i64(i32(at(number).status))
    if stage_of(word) != Stage.LEFT and status >= UNHANDLED:
        end_unborn()
    free_entry(word)
    if vm.state.lent != 0:
        vm.release_lent()
    return i64(number), status


def end_unborn() -> None:
    """A child was ended, perhaps while it created another: what it had not started yet is ours now."""
    for environment in range(abi.ENVIRONMENTS):
        if aegis.system_page().environments[environment].state == State.EMBRYO:
            where = where_is(environment)
            mac = aegis.capability_mint(name_of(environment), where >> 32 << 32 | ALL)
            if mac >= 0:
                end_environment(where, u64(mac))


def sleep() -> None:
    """Until a child may have ended."""
    if at(POOR).note and run_relative():
        return
    page = aegis.environment_page()
    deadline: u64 = abi.FOREVER
    if page.event_entry != 0 or arguments.beginning().replaced != 0:  # others may be told of it
        deadline = read_timestamp() + aegis.system_page().timestamp_frequency // LOOK_AGAIN
    if aegis.wait(deadline) & Event.CHILD_ENDED == 0 and deadline == abi.FOREVER:
        aegis.yield_to(abi.ANY_ENVIRONMENT)  # another event is pending, and nobody takes it


def run_relative() -> bool:
    """Give one of the family that has no slice one, or the rest of this; False if there is none that can run."""
    at(POOR).note = 0
    for i in range(PROCESSES):
        where = at(i).where
        if stage_of(at(i).word) >= Stage.STARTED and not has_ended(where) and not has_slice(where % abi.ENVIRONMENTS):
            at(POOR).note = 1
            if give_slice(where % abi.ENVIRONMENTS) or aegis.yield_to(where % abi.ENVIRONMENTS) == 0:
                return True
    return False


def has_slice(environment: u64) -> bool:
    for owner in aegis.system_page().slice_owners:
        if owner == environment:
            return True
    return False
