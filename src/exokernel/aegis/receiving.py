# SPDX-License-Identifier: MIT
"""Who receives a frame: the filters of all environments, and the rings in their memory to which filters lead.

The rings are not trusted: the kernel keeps its own producer index and the frames behind each ring, and takes the consumer
index as a hint that can only hurt its writer. The filters' code is written to that one of two places where it does not
run, which then becomes executable instead of writable, and the other one writable again.
"""

from collections.abc import Callable

from exokernel.aegis import environment, filter, filter_code, frames, handlers, information, tlb
from exokernel.aegis.abi import *
from exokernel.aegis.filter import FILTERS
from exokernel.aegis.translation import EFFECTS
from exokernel.machine import paging
from exokernel.metal import *

RINGS = 32
RING_PAGES = sizeof(ReceiveRing) // paging.PAGE
SLOTS_PER_PAGE = paging.PAGE // sizeof(ReceiveSlot)
CODE_PAGES = 24  # 512 flows need 14


@struct
class Ring:
    """A ring is somebody's while filters lead to it."""

    owner: u64
    filters: u64
    producer: u32
    pages: Array[u32, RING_PAGES]


table: filter.Table = filter.Table()
generations: Array[u32, FILTERS] = Array[u32, FILTERS]()  # a number's, moves on when its filter goes
ring_of: Array[u8, FILTERS] = Array[u8, FILTERS]()
rings: Array[Ring, RINGS] = Array[Ring, RINGS]()
spaces: Array[Array[u8, CODE_PAGES * 4096], 2] = aligned(4096, Array[Array[u8, CODE_PAGES * 4096], 2]())
running: u64 = 1  # which of them is not to be written to
code: u64 = 0  # the address of the code; 0: none, the table is searched


def deliver(frame: Span[u8], send: Callable[[u64, u64], bool]) -> u64:
    """Copies a frame into the ring of the filter that it belongs to, unless its handler decides otherwise. Returns the
    environment, or ENVIRONMENTS and counts why not. `send` sends a frame of the kernel's memory.
    """
    number = classify(frame)
    if number < 0:
        information.page.network.unmatched += 1
        return ENVIRONMENTS
    ring = rings[ring_of[u64(number)]]
    indices = indices_of(ring)
    handler = u64(handlers.attached[u64(number)])
    if handler != handlers.NONE:
        special = handlers.table[handler].special
        if special:
            prepare(ring, indices, handler)
        frame = handlers.run(handler, frame, send)
        copied = special and publish_copies(ring, indices)
        if len(frame) == 0:
            return ring.owner if copied else u64(ENVIRONMENTS)
    if ring.producer - indices.consumer >= RING_SLOTS:
        information.page.network.ring_full += 1
        return ENVIRONMENTS
    slot = slot_of(ring, ring.producer)
    slot.tag = 0
    handlers.copy_words(u64(addr(slot.data)), u64(addr(frame[0])), min(len(frame), sizeof(ReceiveSlot) - 8))
    slot.length = u32(len(frame))
    compiler_barrier()
    ring.producer += 1
    indices.producer = ring.producer
    return ring.owner


def slot_of(ring: Ring, index: u32) -> ReceiveSlot:
    """The kernel's view of a slot."""
    place = u64(index % RING_SLOTS)
    page = ring.pages[1 + place // SLOTS_PER_PAGE]
    return (Ptr[ReceiveSlot](paging.direct(u64(page) * paging.PAGE)) + place % SLOTS_PER_PAGE)[0]


@noinline
def prepare(ring: Ring, indices: RingIndices, handler: u64) -> None:
    """Tells the handler that is going to run where its copies go, and does what `handlers.prepare` does."""
    handlers.prepare(handlers.table[handler])
    if handlers.table[handler].asks & handlers.COPIES == 0:
        return
    record = handlers.record_page.record
    used = ring.producer - indices.consumer
    record.copy_room = min(EFFECTS, u64(RING_SLOTS - min(used, RING_SLOTS)))
    for i in range(record.copy_room):
        record.copy_to[i] = u64(addr(slot_of(ring, ring.producer + u32(i)).data[0]))


@noinline
def publish_copies(ring: Ring, indices: RingIndices) -> bool:
    """Shows the ring's owner what the handler copied; False if that is nothing."""
    record = handlers.record_page.record
    for i in range(record.copies):
        slot = slot_of(ring, ring.producer + u32(i))
        slot.length = record.copied[i]
        slot.tag = record.tags[i]
    compiler_barrier()
    ring.producer += u32(record.copies)
    indices.producer = ring.producer
    return record.copies != 0


def classify(frame: Span[u8]) -> i64:
    """The number of the filter to which a frame belongs, or filter.NONE."""
    if code == 0:
        return filter.classify(table, frame)
    return asm(
        "call rax",
        "={rax},{rax},{rdi},{rsi},~{rcx},~{rdx},~{r8},~{r9},~{r10},~{r11},~{flags},~{memory}",
        code,
        addr(frame[0]),
        len(frame),
        returns=i64,
    )


def indices_of(ring: Ring) -> RingIndices:
    return Ptr[RingIndices](paging.direct(u64(ring.pages[0]) * paging.PAGE))[0]


def is_shared(identifier: u64) -> bool:
    """Whether an environment other than this one receives anything."""
    for ring in rings:
        if ring.filters != 0 and ring.owner != identifier:
            return True
    return False


def receives(identifier: u64) -> bool:
    for ring in rings:
        if ring.filters != 0 and ring.owner == identifier:
            return True
    return False


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
    generation, or as `filter.insert`, and NO_ROOM when there is no ring or no room for the code.
    """
    caller = environment.current().identifier
    first = address // paging.PAGE
    number = _find_ring(caller, tlb.entry_of(first)[0].frame)
    if number == RINGS:
        return Error.NO_ROOM
    added = filter.insert(table, atoms, u32(caller), u32(allowed))
    if added < 0:
        return added
    if not rewrite():
        filter.remove(table, u64(added), u32(caller))
        return Error.NO_ROOM
    ring_of[u64(added)] = u8(number)
    ring = rings[number]
    ring.filters += 1
    if ring.filters == 1:
        ring.owner = caller
        ring.producer = 0
        for i in range(RING_PAGES):
            frame = tlb.entry_of(first + i)[0].frame
            ring.pages[i] = u32(frame)
            frames.entry(frame).pins += 1
        indices = indices_of(ring)
        indices.producer = 0
        indices.consumer = 0
    return i64(u64(generations[u64(added)]) << 32) | added


def _find_ring(caller: u64, frame: u64) -> u64:
    """The caller's ring that begins with this frame, else one that is free, else RINGS."""
    free: u64 = RINGS
    for i in range(RINGS):
        if rings[i].filters == 0:
            free = min(free, i)
        elif rings[i].owner == caller and rings[i].pages[0] == frame:
            return i
    return free


def remove(named: u64, caller: u64) -> i64:
    """Takes out the filter that `bind` called so. Returns 0, NOT_OWNER or BAD_ARGUMENT."""
    number = named & 0xFFFF_FFFF
    if number < FILTERS and named >> 32 != generations[number]:
        return Error.NOT_OWNER
    error = filter.remove(table, number, u32(caller))
    if error == 0:
        _forget(number)
        _rewrite_for_less()
    return error


def own_error(named: u64, caller: u64) -> i64:
    """0 if `bind` called a filter of the caller's so; else NOT_OWNER or BAD_ARGUMENT."""
    number = named & 0xFFFF_FFFF
    if number >= FILTERS:
        return Error.BAD_ARGUMENT
    filter = table.filters[number]
    owned = filter.taken and filter.owner == caller and named >> 32 == generations[number]
    return 0 if owned else i64(Error.NOT_OWNER)


def release(identifier: u64) -> None:
    """Takes out all filters of an environment."""
    if not receives(identifier):
        return
    for number in range(FILTERS):
        if table.filters[number].taken and table.filters[number].owner == identifier:
            _forget(number)
    filter.remove_all(table, u32(identifier))
    _rewrite_for_less()


def _forget(number: u64) -> None:
    generations[number] = (generations[number] + 1) & 0x7FFF_FFFF  # also in the result of `filter_bind`
    handlers.attached[number] = handlers.NONE
    ring = rings[ring_of[number]]
    ring.filters -= 1
    if ring.filters == 0:
        for page in ring.pages:
            frames.entry(u64(page)).pins -= 1


def rewrite() -> bool:
    """Makes code of the table, and of the code what runs. False: it has no room, and nothing is changed."""
    global running, code
    space = spaces[1 - running]
    if filter_code.generate(table, space) == 0:
        return False
    paging.make_code(u64(addr(space[0])), CODE_PAGES, True)
    code = u64(addr(space[0]))
    paging.make_code(u64(addr(spaces[running][0])), CODE_PAGES, False)
    running = 1 - running
    return True


def _rewrite_for_less() -> None:
    """After a removal. The code of fewer filters is nearly always shorter; if it is not, the table is searched."""
    global code
    if not rewrite():
        code = 0
