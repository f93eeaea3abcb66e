# SPDX-License-Identifier: MIT
"""Who receives a frame: the filters of all environments, the rings in their memory to which filters lead, and the rings of
those who capture, which get copies.

The rings are not trusted: the kernel keeps its own producer index and the frames behind each ring, and takes the consumer
index as a hint that can only hurt its writer.

The filters' code is written in bounded steps, at the change and then at each tick, to that one of two places where it
does not run; when it is whole, this one becomes executable instead of writable, and the other one writable again. Until
then the table is searched after an insertion; after a removal the old code serves, and leads to search what it must.

A part of the filters and rings is reserved, so that no environment can take what another needs to receive anything.
"""

from collections.abc import Callable

from exokernel.aegis import environment, filter, filter_code, frames, handlers, information, processor, tlb
from exokernel.aegis.abi import *
from exokernel.aegis.counters import TraceCounter, tally
from exokernel.aegis.filter import FILTERS
from exokernel.aegis.translation import EFFECTS
from exokernel.machine import cpu, paging
from exokernel.metal import *

RINGS = 96
CAPTURES = 4
RING_PAGES = sizeof(ReceiveRing) // paging.PAGE
SLOTS_PER_PAGE = paging.PAGE // sizeof(ReceiveSlot)
CODE_PAGES = 24  # 512 flows need 14
CODE_STEPS = 256  # of `filter_code`, at once
FILTERS_EACH = 2  # that every environment can have, whatever the others have: an address by IPv4 and by ARP
RINGS_EACH = 1
GONE = 255  # instead of a ring: the filter was removed, its code not yet


@struct
class Ring:
    """A ring is somebody's while filters lead to it, or it gets copies."""

    owner: u64
    uses: u64
    producer: u32
    pages: Array[u32, RING_PAGES]


table: filter.Table = filter.Table()
generations: Array[u32, FILTERS] = Array[u32, FILTERS]()  # a number's, moves on when its filter goes
ring_of: Array[u8, FILTERS] = Array[u8, FILTERS]()
rings: Array[Ring, RINGS] = Array[Ring, RINGS]()
filters_of: Array[u16, ENVIRONMENTS] = Array[u16, ENVIRONMENTS]()
rings_of: Array[u16, ENVIRONMENTS] = Array[u16, ENVIRONMENTS]()
captors: Array[u8, CAPTURES] = Array[u8, CAPTURES]()  # rings that get copies
seen: Array[u32, CAPTURES] = Array[u32, CAPTURES]()  # what of, as rights of `Kind.CAPTURE`; 0: of nothing
captured: u32 = 0  # what somebody sees
crowded: u64 = ENVIRONMENTS  # whose ring was when a frame was delivered to it
spaces: Array[Array[u8, CODE_PAGES * 4096], 2] = aligned(4096, Array[Array[u8, CODE_PAGES * 4096], 2]())
running: u64 = 1  # which of them is not to be written to
code: u64 = 0  # the address of the code; 0: none, the table is searched
writing: filter_code.Code = filter_code.Code()
unwritten: bool = False  # it is not whole


def deliver(frame: Span[u8], send: Callable[[u64, u64], bool]) -> u64:
    """Copies a frame into the ring of the filter that it belongs to, unless its handler decides otherwise. Returns the
    environment, or ENVIRONMENTS and counts why not. `send` sends a frame of the kernel's memory.
    """
    global crowded
    if captured != 0:
        capture(frame, Right.READ | Right.WRITE)
    number = classify(frame)
    if number < 0:
        tally(TraceCounter.UNMATCHED)
        return ENVIRONMENTS
    ring = rings[ring_of[u64(number)]]
    handler = u64(handlers.attached[u64(number)])
    if handler != handlers.NONE:
        special = handlers.table.entries[handler].special
        if special:
            prepare(ring, handler)
        frame = handlers.run(handler, frame, send)
        copied = special and publish_copies(ring)
        if len(frame) == 0:
            return ring.owner if copied else u64(ENVIRONMENTS)
    if not put(ring, frame, 0):
        tally(TraceCounter.RING_FULL)
        return ENVIRONMENTS
    if is_crowded(ring):
        crowded = ring.owner
    return ring.owner


@inline
def is_crowded(ring: Ring) -> bool:
    """Whether a ring has not surely room for all that the device can have received meanwhile."""
    return ring.producer - indices_of(ring).consumer > RING_SLOTS // 2


def put(ring: Ring, frame: Span[u8], tag: u32) -> bool:
    """Copies a frame into a ring. False, and counted there, if it is full."""
    indices = indices_of(ring)
    if ring.producer - indices.consumer >= RING_SLOTS:
        indices.dropped += 1
        return False
    slot = slot_of(ring, ring.producer)
    handlers.copy_words(u64(addr(slot.data)), u64(addr(frame[0])), len(frame))  # at most BUFFER_BYTES, less a header
    slot.length = u32(len(frame))
    slot.tag = tag
    compiler_barrier()
    ring.producer += 1
    indices.producer = ring.producer
    return True


def slot_of(ring: Ring, index: u32) -> ReceiveSlot:
    """The kernel's view of a slot."""
    place = u64(index % RING_SLOTS)
    page = ring.pages[1 + place // SLOTS_PER_PAGE]
    return (Ptr[ReceiveSlot](paging.direct(u64(page) * paging.PAGE)) + place % SLOTS_PER_PAGE)[0]


@noinline
def prepare(ring: Ring, handler: u64) -> None:
    """Tells the handler that is going to run where its copies go, and does what `handlers.prepare` does."""
    handlers.prepare(handlers.table.entries[handler])
    if handlers.table.entries[handler].asks & handlers.COPIES == 0:
        return
    record = handlers.record_page.record
    used = ring.producer - indices_of(ring).consumer
    record.copy_room = min(EFFECTS, u64(RING_SLOTS - min(used, RING_SLOTS)))
    for i in range(record.copy_room):
        record.copy_to[i] = u64(addr(slot_of(ring, ring.producer + u32(i)).data[0]))


@noinline
def publish_copies(ring: Ring) -> bool:
    """Shows the ring's owner what the handler copied; False if that is nothing."""
    record = handlers.record_page.record
    for i in range(record.copies):
        slot = slot_of(ring, ring.producer + u32(i))
        slot.length = record.copied[i]
        slot.tag = record.tags[i]
    compiler_barrier()
    ring.producer += u32(record.copies)
    indices_of(ring).producer = ring.producer
    return record.copies != 0


def classify(frame: Span[u8]) -> i64:
    """The number of the filter to which a frame belongs, or filter.NONE."""
    if code != 0:
        number = asm(
            "call rax",
            "={rax},{rax},{rdi},{rsi},~{rcx},~{rdx},~{r8},~{r9},~{r10},~{r11},~{flags},~{memory}",
            code,
            addr(frame[0]),
            len(frame),
            returns=i64,
        )
        if number < 0 or ring_of[u64(number)] != GONE:
            return number
    information.page.network.searched += 1
    return filter.classify(table, frame)


def indices_of(ring: Ring) -> RingIndices:
    return Ptr[RingIndices](paging.direct(u64(ring.pages[0]) * paging.PAGE))[0]


def is_shared(identifier: u64) -> bool:
    """Whether an environment other than this one receives anything."""
    for i in range(ENVIRONMENTS):
        if filters_of[i] != 0 and i != identifier:
            return True
    return False


def receives(identifier: u64) -> bool:
    return filters_of[identifier] != 0


def has_room(identifier: u64) -> bool:
    """Whether none of an environment's rings is crowded."""
    for ring in rings:
        if ring.uses != 0 and ring.owner == identifier and is_crowded(ring):
            return False
    return True


@noinline
def may_have(held: Array[u16, ENVIRONMENTS], identifier: u64, reserved: u64, total: u64) -> bool:
    """Whether an environment may have one more of what there are `total` of, `reserved` of them for each."""
    taken: u64 = 0
    for count in held:
        taken += max(u64(count), reserved)
    return held[identifier] < reserved or taken < total


def ring_error(ring: u64) -> i64:
    """Whether the current environment may receive into the ring at an address: 0, BAD_ADDRESS or NOT_OWNER."""
    if ring % paging.PAGE != 0 or ring > USER_LIMIT - sizeof(ReceiveRing):
        return Error.BAD_ADDRESS
    for page in range(ring // paging.PAGE, ring // paging.PAGE + RING_PAGES):
        if not tlb.is_writable(page):
            return Error.BAD_ADDRESS
        if not tlb.entry_of(page)[0].own:
            return Error.NOT_OWNER
    return 0


def bind(address: u64, atoms: Span[Atom], allowed: u64) -> i64:
    """Leads what matches to a ring that `ring_error` has nothing against. Returns the filter's number and
    generation, or as `filter.insert`, and NO_ROOM when the caller may not have another ring or filter.
    """
    global code
    caller = environment.current().identifier
    number = _find_ring(caller, address)
    if number == RINGS or not may_have(filters_of, caller, FILTERS_EACH, FILTERS):
        return Error.NO_ROOM
    added = filter.insert(table, atoms, u32(caller), u32(allowed))
    if added < 0:
        return added
    ring_of[u64(added)] = u8(number)
    filters_of[caller] += 1
    _use(number, caller, address)
    code = 0
    _write_anew()
    write()
    return i64(u64(generations[u64(added)]) << 32) | added


@noinline
def _find_ring(caller: u64, address: u64) -> u64:
    """The caller's ring that begins with the frame at this address, else one that is free and that it may have, else
    RINGS.
    """
    frame = tlb.entry_of(address // paging.PAGE)[0].frame
    free: u64 = RINGS
    for i in range(RINGS):
        if rings[i].uses == 0:
            free = min(free, i)
        elif rings[i].owner == caller and rings[i].pages[0] == frame:
            return i
    return free if may_have(rings_of, caller, RINGS_EACH, RINGS) else u64(RINGS)


def _use(number: u64, caller: u64, address: u64) -> None:
    """One thing more leads to a ring. If it is the first, the ring begins."""
    ring = rings[number]
    ring.uses += 1
    if ring.uses != 1:
        return
    rings_of[caller] += 1
    ring.owner = caller
    ring.producer = 0
    for i in range(RING_PAGES):
        frame = tlb.entry_of(address // paging.PAGE + i)[0].frame
        ring.pages[i] = u32(frame)
        frames.entry(frame).pins += 1
    indices = indices_of(ring)
    indices.producer = 0
    indices.dropped = 0
    indices.consumer = 0


def _leave(number: u64) -> None:
    """One thing less leads to a ring. If it was the last, the ring is free."""
    ring = rings[number]
    ring.uses -= 1
    if ring.uses == 0:
        rings_of[ring.owner] -= 1
        for page in ring.pages:
            frames.entry(u64(page)).pins -= 1


def remove(named: u64, caller: u64) -> i64:
    """Takes out the filter that `bind` called so. Returns 0, NOT_OWNER or BAD_ARGUMENT."""
    number = named & 0xFFFF_FFFF
    if number < FILTERS and named >> 32 != generations[number]:
        return Error.NOT_OWNER
    error = filter.remove(table, number, u32(caller))
    if error == 0:
        _forget(number, caller)
        _write_anew()
        write()
    return error


def own_error(named: u64, caller: u64) -> i64:
    """0 if `bind` called a filter of the caller's so; else NOT_OWNER or BAD_ARGUMENT."""
    number = named & 0xFFFF_FFFF
    if number >= FILTERS:
        return Error.BAD_ARGUMENT
    filter = table.filters[number]
    owned = filter.taken and filter.owner == caller and named >> 32 == generations[number]
    return 0 if owned else i64(Error.NOT_OWNER)


def release(identifier: u64, limit: u64) -> u64:
    """Takes out up to so many filters of an environment. Returns how many."""
    count = min(u64(filters_of[identifier]), limit)
    left = count
    place: u64 = 0
    while left != 0:
        number = u64(table.order[place])
        if table.filters[number].owner == identifier:
            _forget(number, identifier)
            left -= 1
        place += 1
    filter.remove_first(table, u32(identifier), count)
    if count != 0:
        _write_anew()
    return count


def _forget(number: u64, owner: u64) -> None:
    generations[number] = (generations[number] + 1) & 0x7FFF_FFFF  # also in the result of `filter_bind`
    handlers.attached[number] = handlers.NONE
    filters_of[owner] -= 1
    _leave(u64(ring_of[number]))
    ring_of[number] = GONE


# ---- the filters' code


def _write_anew() -> None:
    """The table has changed."""
    global unwritten
    filter_code.begin(writing, table, spaces[1 - running])
    unwritten = True


def write() -> None:
    """Goes on writing the code; when it is whole it is what runs. If it has no room, the table is searched from now on."""
    global running, code, unwritten
    if not filter_code.go_on(writing, table, CODE_STEPS):
        return
    unwritten = False
    if writing.length > len(writing.bytes):
        code = 0
        return
    space = u64(addr(spaces[1 - running][0]))
    paging.make_code(space, CODE_PAGES, True)
    code = space
    paging.make_code(u64(addr(spaces[running][0])), CODE_PAGES, False)
    running = 1 - running


# ---- capture


def bind_capture(address: u64, rights: u32) -> i64:
    """Leads copies of all frames that `rights` shows to a ring that `ring_error` has nothing against. Returns 0, BUSY if
    CAPTURES other environments capture, or NO_ROOM.
    """
    caller = environment.current().identifier
    stop_capture(caller)
    place: u64 = 0
    while place < CAPTURES and seen[place] != 0:
        place += 1
    if place == CAPTURES:
        return Error.BUSY
    number = _find_ring(caller, address)
    if number == RINGS:
        return Error.NO_ROOM
    _use(number, caller, address)
    captors[place] = u8(number)
    _see(place, rights)
    return 0


@noinline
def stop_capture(identifier: u64) -> None:
    """The environment gets no more copies."""
    for i in range(CAPTURES):
        if seen[i] != 0 and rings[captors[i]].owner == identifier:
            _see(i, 0)
            _leave(u64(captors[i]))


def _see(place: u64, rights: u32) -> None:
    global captured
    seen[place] = rights
    captured = 0
    for one in seen:
        captured |= one


def capture(frame: Span[u8], rights: u32) -> None:
    """Copies a frame to those who have one of these rights."""
    for i in range(CAPTURES):
        ring = rings[captors[i]]
        if seen[i] & rights != 0 and put(ring, frame, u32(cpu.read_timestamp())):
            tally(TraceCounter.CAPTURED)
            processor.post(ring.owner, Event.NETWORK)
