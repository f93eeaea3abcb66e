# SPDX-License-Identifier: MIT
"""Virtual memory: the application's own page table, and what a page fault means (5.4, 6.1). The kernel maps what it is
told; which page has which frame, what it was meant to allow, and what happens when it is touched is decided here, and
may be decided otherwise by who does not like it: `table` is a module with the functions of `linear`.

Pages and frames are numbers (address // PAGE_BYTES). Errors are the kernel's (`abi.Error`), negative; memory that runs
out is one. Whether a page was used or written is asked of the processor's own bits, in the table that the kernel
exports: no call. What is mapped now is the kernel's word too; the entries here say what is wanted.

A page fault runs `fault` on the handlers' stack. So what it writes must never be write-protected itself: `state`, that
stack and the table, which fork copies at once (`next_at_once`).

When the kernel asks for frames (event REVOKE), somebody has to call `answer_revocation`; after REPOSSESSED,
`note_losses`. Nothing here expects another thread of the environment inside.
"""

from collections.abc import Callable

from exokernel.aegis import abi
from exokernel.aegis.abi import BATCH, LARGE_PAGES, PAGE_BYTES, Authority, Error, Right
from exokernel.exos import aegis, exceptions, linear, slots
from exokernel.exos.slots import NOTHING
from exokernel.metal import *

Handler = Callable[[u64, u64], bool]  # of page faults: address and error code; True: try again
table = linear  # the page table in use; `inverted` puts itself here while the image is built

PAGES = abi.USER_LIMIT // PAGE_BYTES
REGIONS = 64
LENT = 0x1FF00  # frames that others still use: a list
LENT_END = 0x1FFFF
VACANT = 2  # what the kernel's table shows where it has no node

# The processor's error code of a page fault (SDM volume 3, figure 4-12).
PRESENT = 1
WRITE = 2
FETCH = exceptions.FETCH


class Kind:
    """Of an entry: what is behind a page."""

    UNTOUCHED = 0  # nothing yet; on demand zeros
    OWN = 1  # a frame of ours
    BOUND = 2  # a frame of somebody else's, through a binding
    PUBLIC = 3  # a frame that everybody may read
    HIDDEN = 4  # as OWN, not mapped: nothing is allowed
    HIDDEN_BOUND = 5  # as BOUND, not mapped
    GONE = 6  # nothing any more: the contents were given away, and the region's function brings them back
    LARGE = 7  # a frame of ours, in a large page


@bits(u32)
class Entry:
    """Never 0: what has no frame has a number all the same."""

    rights: u64 = field(0, 2)  # Right bits that are wanted where the kernel's table does not say it: see `rights_of`
    copy: bool = field(3)  # on the first write: others see the same frame
    kind: u64 = field(4, 6)
    written: bool = field(7)  # not zeros, nor what is saved, even where the processor's dirty bit says so
    frame: u64 = field(8, 31)  # or slot


NO_FRAME = 1
MINUS_ONE = 0xFFFF_FFFF_FFFF_FFFF
PLAIN = Kind.OWN << 4
PLAIN_MASK = 0x78  # copy and kind


KIND_BITS = abi.TableEntry(present=True, own=True, bound=True).raw


class Flag:
    """Of a region."""

    DEMAND = 1  # pages get frames of zeros when they are first touched
    SHARED = 2  # stays the same memory in children: never copied
    DROPPABLE = 4  # contents may go when frames are asked for: `function` brings them back, or with DEMAND zeros do
    NESTING = 8  # `function` touches memory where page faults happen


@struct
class Region:
    """Pages with one purpose. `function(address, error)` is asked about page faults that nothing here resolves; True:
    try again. `save(page)`, to be stored here, is told before written contents are given away; False: they stay.
    """

    first: u64
    count: u64  # 0: none
    rights: u64
    flags: u64
    function: Handler
    save: Callable[[u64], bool]


@struct
class State:
    """All that changes here, apart from the table."""

    near: u64  # address of the region that was last asked for, and what `fault` needs of it
    near_address: u64
    near_bytes: u64
    near_demand: u64
    near_refused: u64  # bits of a page fault's error code by which it is nothing for `near_demand`
    near_function: Handler
    copies: u64  # entries with `copy`
    copied: u64  # how often one was written
    lent: u64  # frames in the list at LENT
    regions_used: u64  # the regions from here on have never been any
    hand: u64  # of the default policy: the page looked at last
    started: u64
    loose: u64  # all entries outside of regions are for pages from here on,
    loose_end: u64  # and before this
    backed: Array[u64, 9]  # which pages of the table have memory
    inherited: u64  # not 0: what the entries say is a parent's, and `complete` has to look at them
    inherited_slots: Array[u64, abi.BINDINGS // 64]  # that are taken in the child that is being made
    inherited_hidden: u64  # not 0: it must hide pages
    policy: Callable[[], u64]  # chooses the page whose frame goes next, or NOTHING; to be stored here
    regions: Array[Region, REGIONS]


def refuse(address: u64, error: u64) -> bool:
    """The function of a region without one."""
    return False


def forget(page: u64) -> bool:
    """The `save` of a region without one: contents may be lost."""
    return True


def oldest() -> u64:
    """The policy when there is no other: the next page that was not used since it was last passed."""
    for turn in range(2):
        page = next_page(state.hand + 1, PAGES)
        while page != NOTHING:
            state.hand = page
            if can_give(page):
                if not is_accessed(page):
                    return page
                clean(page)
            page = next_page(page + 1, PAGES)
        state.hand = 0
    return NOTHING


_regions = Array[Region, REGIONS]([Region(function=refuse, save=forget) for _ in range(REGIONS)])
_begin = State(near_function=refuse, policy=oldest, loose=PAGES, regions=_regions)
state: State = placed(slots.HANDLERS, aligned(PAGE_BYTES, _begin))
assert sizeof(State) <= PAGE_BYTES - 16  # with the binding slots one page to copy at once


def start() -> i64:
    """Take over page faults, and make entries for what is mapped, once. Returns 0 or NO_FRAMES."""
    if state.started:
        return 0
    error = adopt((abi.STACK_TOP - abi.STACK_BYTES) // PAGE_BYTES, abi.STACK_BYTES // PAGE_BYTES)
    block: u64 = abi.IMAGE_ADDRESS // PAGE_BYTES
    while error == 0 and aegis.table_entry(block).raw != VACANT:
        error = adopt(block, 512)
        block += 512
    if error == 0:
        state.started = 1
        exceptions.handle_faults(fault, repair)
    return error


def adopt(first: u64, count: u64) -> i64:
    """Make entries for pages that are mapped, but not by this file."""
    for page in range(first, first + count):
        now = aegis.table_entry(page)
        if now.present and table.get(page) == 0:
            error = ensure(page)
            if error != 0:
                return error
            kind: u64 = Kind.OWN if now.own else (Kind.BOUND if now.bound else Kind.PUBLIC)
            put(page, Entry(kind=kind, written=True, frame=now.slot if now.bound else now.frame))
    return 0


# ---- frames


def claim() -> i64:
    """A frame of zeros, or NO_FRAMES."""
    frame = aegis.frame_claim(abi.ANY)
    if frame < 0 and state.lent != 0 and release_lent() != 0:
        frame = aegis.frame_claim(abi.ANY)
    return frame


def claim_copy(page: u64) -> i64:
    """A frame with what is at a page now, or NO_FRAMES."""
    frame = aegis.frame_claim_copy(page)
    if frame < 0 and state.lent != 0 and release_lent() != 0:
        frame = aegis.frame_claim_copy(page)
    return frame


def back(page: u64) -> i64:
    """Put a frame of zeros, writable, behind a page of this file's own. Returns 0 or the error."""
    error = ensure_node(page)
    frame = claim() if error == 0 else error
    if frame < 0:
        return frame
    aegis.frame_guarantee(u64(frame), 1)  # as far as that goes: without it a fault could not be handled
    if page - table_page() < table.MEMORY_PAGES:
        slots.mark(state.backed, page - table_page(), 1)
    return aegis.tlb_insert(page, u64(frame), Right.WRITE)


def ensure_node(page: u64) -> i64:
    """See that the kernel has a table node for a page. Returns 0, NO_FRAMES, or IN_USE when a large page is there."""
    if aegis.table_entry(page).raw != VACANT:
        return 0
    frame = aegis.frame_claim_table(abi.ANY)
    if frame < 0:
        frame = claim()
        if frame < 0:
            return frame
    error = aegis.tlb_node(page, u64(frame))
    if error != 0:
        aegis.frame_release(u64(frame))
    return error


def ensure(page: u64) -> i64:
    """See that `put` can be used for a page. Returns 0, NO_FRAMES, NO_ROOM, or BAD_ARGUMENT when there is no such page."""
    if page >= PAGES:
        return Error.BAD_ARGUMENT
    if state.inherited:
        complete()
    if page < state.loose or page >= state.loose_end:
        note_loose(page)
    place = table.missing(page)
    while place != 0:
        if place == NOTHING:
            return Error.NO_ROOM
        error = back(place)
        if error != 0:
            return error
        place = table.missing(page)
    return 0


def note_loose(page: u64) -> None:
    """A page that is not among the loose ones gets an entry: then it is in a region, or becomes one of them."""
    if not find(page):
        state.loose_end = max(state.loose_end, page + 1)
        state.loose = min(state.loose, page)


@inline
def entry_of(page: u64) -> Entry:
    """The entry of a page below PAGES."""
    if state.inherited:
        complete()
    return Entry(table.get(page))


def settled(page: u64) -> Entry:
    """The entry of a page, which may have been bound before its owner ended and it became ours."""
    entry = entry_of(page)
    now = aegis.table_entry(page)
    if entry.kind == Kind.BOUND and now.own:
        slots.release(slots.bindings, entry.frame, 1)
        entry.kind = Kind.OWN
        entry.frame = now.frame
        put(page, entry)
    return entry


@inline
def put(page: u64, entry: Entry) -> None:
    table.put(page, entry.raw)


def discard(page: u64, frame: u64) -> None:
    """Give up a frame of ours with its mapping, if it has one: now, or when nobody uses it."""
    if aegis.frame_release(frame) == Error.IN_USE:
        aegis.tlb_remove(page, 1)
        lend(frame)


def lend(frame: u64) -> bool:
    """Note a frame that others still use. Without memory for the list it stays ours until the end."""
    page = LENT + state.lent * 4 // PAGE_BYTES
    if page >= LENT_END or (not aegis.table_entry(page).present and back(page) != 0):
        return False
    lent_frames()[state.lent] = u32(frame)
    state.lent += 1
    return True


@inline
def lent_frames() -> Ptr[u32]:
    """The `state.lent` frames of ours that are mapped nowhere and that others use, or that are pinned."""
    return Ptr[u32](LENT * PAGE_BYTES)


def release_lent() -> u64:
    """Give up the lent frames that nobody uses any more. Returns how many."""
    given: u64 = 0
    i: u64 = 0
    while i < state.lent:
        if aegis.frame_release(u64(lent_frames()[i])) == Error.IN_USE:
            i += 1
            continue
        state.lent -= 1
        lent_frames()[i] = lent_frames()[state.lent]
        given += 1
    return given


# ---- regions


def reserve(first: u64, count: u64, rights: u64, flags: u64, function: Handler) -> i64:
    """Make `count` pages from `first` on a region; costs the same for any number. Rights NONE without DEMAND: a guard.
    Returns 0, BAD_ARGUMENT, IN_USE when it overlaps another, NO_ROOM after REGIONS, NO_FRAMES.
    """
    if count == 0 or first >= PAGES or count > PAGES - first or rights & 6 == 6:
        return Error.BAD_ARGUMENT
    error = start()
    if error != 0:
        return error
    if state.inherited:
        complete()
    free = Ptr[Region](0)
    for i in range(state.regions_used):
        region = state.regions[i]
        if region.count == 0:
            free = addr(region)
        elif first < region.first + region.count and region.first < first + count:
            return Error.IN_USE
    if not free:
        if state.regions_used == REGIONS:
            return Error.NO_ROOM
        free = addr(state.regions[state.regions_used])
        state.regions_used += 1
    free[0].first = first
    free[0].count = count
    free[0].rights = rights
    free[0].flags = flags
    free[0].function = function
    free[0].save = forget
    come_near(free)
    return 0


def come_near(region: Ptr[Region]) -> None:
    state.near_bytes = 0  # first and last: whoever is interrupted here leaves a region of no pages
    compiler_barrier()
    state.near = u64(region)
    state.near_address = region[0].first * PAGE_BYTES
    state.near_demand = region[0].rights if region[0].flags & Flag.DEMAND else u64(Right.NONE)
    state.near_refused = refused_by(state.near_demand)
    careful = state.copies != 0 or region[0].flags & Flag.NESTING != 0
    state.near_function = fault_anywhere if careful else region[0].function
    compiler_barrier()
    state.near_bytes = region[0].count * PAGE_BYTES


def find(page: u64) -> Ptr[Region]:
    """The region of a page, or null."""
    if page * PAGE_BYTES - state.near_address < state.near_bytes:
        return Ptr[Region](state.near)
    for i in range(state.regions_used):
        region = addr(state.regions[i])
        if page - region[0].first < region[0].count:
            come_near(region)
            return region
    return Ptr[Region](0)


def release(first: u64) -> i64:
    """End the region that begins at `first`: its pages, frames and table nodes. Returns 0 or BAD_ARGUMENT."""
    region = find(first)
    if not region or region[0].first != first:
        return Error.BAD_ARGUMENT
    error = unmap(first, region[0].count)
    if error != 0:
        return error
    block = (first + 511) // 512 * 512
    while block + 512 <= first + region[0].count:
        remove_node(block)
        block += 512
    region[0].count = 0
    come_near(region)
    return 0


# ---- mapping


def prepare(page: u64) -> i64:
    """See that something can be mapped at a page. Returns 0, NO_FRAMES, NO_ROOM, BAD_ARGUMENT or IN_USE."""
    error = ensure(page)
    if error == 0:
        error = ensure_node(page)
    if error == 0 and table.get(page) != 0 and not is_empty(entry_of(page)):
        error = Error.IN_USE
    return error


@inline
def is_empty(entry: Entry) -> bool:
    """Whether nothing is behind a page that has an entry."""
    return entry.kind == Kind.UNTOUCHED or entry.kind == Kind.GONE


def fill(page: u64, rights: u64) -> i64:
    """Put a frame of zeros behind a page that has none. Returns 0, or an error of `prepare`'s."""
    error = prepare(page)
    frame = claim() if error == 0 else error
    if frame < 0:
        return frame
    error = aegis.tlb_insert(page, u64(frame), rights)  # NONE: it is not mapped
    if error != 0:
        aegis.frame_release(u64(frame))
        return error
    put(page, Entry(kind=Kind.OWN if rights != Right.NONE else u64(Kind.HIDDEN), frame=u64(frame)))
    return 0


def commit(first: u64, count: u64) -> i64:
    """Put frames behind all pages of a region's part that have none. Returns 0, or the error at which it stopped."""
    region = find(first)
    for page in range(first, first + count):
        entry = entry_of(page) if page < PAGES else Entry(0)
        if entry.raw == 0 or entry.kind == Kind.UNTOUCHED:
            rights = entry.rights if entry.raw != 0 else (region[0].rights if region else u64(Right.WRITE))
            error = fill(page, rights)
            if error != 0:
                return error
    return 0


def map_as(kind: u64, page: u64, frame: u64, count: u64, rights: u64) -> i64:
    """Map `count` frames from `frame` on: of ours (Kind.OWN), that everybody may read (PUBLIC), or that slots from
    `frame` on bind (BOUND). Returns 0, or the error of `prepare` or of the kernel's at which it stopped.
    """
    for i in range(count):
        error = prepare(page + i)
        if error == 0:
            error = map_again(kind, page + i, frame + i, rights)
        if error != 0:
            return error
        put(page + i, Entry(kind=kind, written=True, frame=frame + i))
    return 0


def map_again(kind: u64, page: u64, frame: u64, rights: u64) -> i64:
    """Let the kernel map a frame or binding, in place of what is there; the processor's bits are cleared."""
    if kind == Kind.BOUND:
        return aegis.tlb_insert_bound(page, frame, rights)
    return aegis.tlb_insert(page, frame, rights)


def map_large(page: u64, rights: u64) -> i64:
    """Map LARGE_PAGES frames of zeros as one page of 2 MiB; `page` is a multiple of LARGE_PAGES. The processor's bits of
    it are not exported: `is_dirty` and `is_accessed` say nothing. Returns 0, NO_FRAMES when no such frames are free side
    by side, IN_USE when something is there, BAD_ARGUMENT.
    """
    if page % LARGE_PAGES != 0 or page >= PAGES:
        return Error.BAD_ARGUMENT
    if next_page(page, page + LARGE_PAGES) != NOTHING:
        return Error.IN_USE
    remove_node(page)
    first = claim_large()
    error = aegis.tlb_insert_large(page, u64(first), rights) if first >= 0 else first
    done: u64 = 0
    while error == 0 and done < LARGE_PAGES:
        error = ensure(page + done)
        if error == 0:
            put(page + done, Entry(rights=rights, kind=Kind.LARGE, written=True, frame=u64(first) + done))
            done += 1
    if error != 0 and first >= 0:
        release_frames(u64(first), LARGE_PAGES)
        for i in range(done):
            table.remove(page + i)
    return error


def remove_node(page: u64) -> None:
    """Give up the kernel's table node of the block around a page, if nothing is mapped there."""
    node = aegis.tlb_node_remove(page)
    if node >= 0:
        aegis.frame_release(u64(node))


def claim_large() -> i64:
    """The first of LARGE_PAGES frames side by side, now ours, or NO_FRAMES."""
    for first in range(0, aegis.system_page().frames - LARGE_PAGES + 1, LARGE_PAGES):
        free: u64 = 0
        while free < LARGE_PAGES and aegis.frame_entry(first + free).owner == abi.FRAME_FREE:
            free += 1
        if free == LARGE_PAGES:
            got: u64 = 0
            while got < LARGE_PAGES and aegis.frame_claim(first + got) >= 0:
                got += 1
            if got == LARGE_PAGES:
                return i64(first)
            release_frames(first, got)
    return Error.NO_FRAMES


def release_frames(first: u64, count: u64) -> None:
    for frame in range(first, first + count):
        aegis.frame_release(frame)


def split(page: u64, whole: bool) -> i64:
    """Make the large page around `page`, if there is one, ordinary ones, not mapped if `whole`. Returns 0 or NO_FRAMES."""
    if page >= PAGES or entry_of(page).kind != Kind.LARGE:
        return 0
    head = page // LARGE_PAGES * LARGE_PAGES
    node: i64 = 0 if whole else claim()
    if node < 0:
        return node
    aegis.tlb_remove(head, 1)
    if not whole:
        aegis.tlb_node(head, u64(node))
    for place in range(head, head + LARGE_PAGES):
        entry = entry_of(place)
        if not whole:
            aegis.tlb_insert(place, entry.frame, entry.rights)
        entry.kind = Kind.OWN
        put(place, entry)
    return 0


def unmap(first: u64, count: u64) -> i64:
    """End what is at these pages, and give up its frames and bindings. Returns 0, BAD_ARGUMENT, or NO_FRAMES when only a
    part of a large page goes and there is no memory for the rest's table.
    """
    if first >= PAGES or count > PAGES - first:
        return Error.BAD_ARGUMENT
    end = first + count
    page = next_page(first, end)
    while page != NOTHING:
        error = split(page, page % LARGE_PAGES == 0 and end - page >= LARGE_PAGES)
        if error != 0:
            return error
        entry = entry_of(page)
        if entry.copy:
            count_copies(MINUS_ONE)
        table.remove(page)
        if entry.kind == Kind.OWN or entry.kind == Kind.HIDDEN:
            discard(page, entry.frame)
        elif entry.kind == Kind.BOUND or entry.kind == Kind.HIDDEN_BOUND:
            aegis.unbind(entry.frame)
            slots.release(slots.bindings, entry.frame, 1)
            now = aegis.table_entry(page)
            if now.own:  # its owner has ended, and it is ours
                discard(page, now.frame)
        elif entry.kind == Kind.PUBLIC:
            aegis.tlb_remove(page, 1)
        page = next_page(page + 1, end)
    return 0


# ---- rights


def protect(first: u64, count: u64, rights: u64) -> i64:
    """Change what pages allow: those that have something, and those of a DEMAND region that will (for a whole region
    that is no work; a part costs an entry for each page). Returns 0, BAD_ARGUMENT, NO_FRAMES, or the kernel's refusal
    for a page that is bound with fewer rights; the pages before it are changed then.
    """
    if count == 1 and first < PAGES and rights != Right.NONE:
        if table.get(first) & PLAIN_MASK == PLAIN:
            return aegis.tlb_protect(first, 1, rights)
    return protect_range(first, count, rights)


@noinline  # so that the above saves no registers
def protect_range(first: u64, count: u64, rights: u64) -> i64:
    """`protect`, in full."""
    error: i64 = 0
    if first >= PAGES or count > PAGES - first or rights & 6 == 6 or rights > 5:
        return Error.BAD_ARGUMENT
    if state.inherited:
        complete()
    whole = find(first)
    if whole and (whole[0].first != first or whole[0].count != count):
        whole = Ptr[Region](0)
    end = first + count
    while first < end:
        part = min(end - first, BATCH)
        error = 0
        if rights != Right.NONE and table.uniform(first, part, PLAIN_MASK, PLAIN):
            error = aegis.tlb_protect(first, part, rights)
        else:
            if whole:  # its pages without entries follow the region
                first = next_page(first, end)
                if first == NOTHING:
                    break
            part = 1
            error = protect_one(first, rights)
        if error != 0:
            return error
        first += part
    if whole:
        whole[0].rights = rights
        come_near(whole)
    return 0


def protect_one(page: u64, rights: u64) -> i64:
    """`protect` for one page."""
    error = split(page, False)
    if error == 0 and table.get(page) == 0:
        region = find(page)
        if not region or region[0].flags & Flag.DEMAND == 0 or region[0].rights == rights:
            return 0
        error = ensure(page)
        if error == 0:
            put(page, Entry(rights=rights, frame=NO_FRAME))
    if error != 0:
        return error
    note_written(page)
    if rights == Right.NONE and entry_of(page).copy and not copy(page):
        return Error.NO_FRAMES  # what is not mapped cannot be inherited
    entry = settled(page)
    given: u64 = Right.READ if entry.copy and rights == Right.WRITE else rights
    if is_empty(entry):
        pass
    elif entry.kind == Kind.HIDDEN or entry.kind == Kind.HIDDEN_BOUND:
        if rights != Right.NONE:
            entry.kind = Kind.BOUND if entry.kind == Kind.HIDDEN_BOUND else u64(Kind.OWN)
            error = map_again(entry.kind, page, entry.frame, given)
    elif rights != Right.NONE:
        error = aegis.tlb_protect(page, 1, given)
    elif entry.kind == Kind.PUBLIC:
        error = Error.NOT_OWNER
    else:
        error = aegis.tlb_remove(page, 1)
        entry.kind = Kind.HIDDEN_BOUND if entry.kind == Kind.BOUND else u64(Kind.HIDDEN)
    if error == 0:
        entry.rights = rights
        put(page, entry)
    return error


def rights_of(page: u64) -> u64:
    """What a page below PAGES is meant to allow; NONE if it has no entry."""
    entry = entry_of(page)
    if entry.copy or entry.kind == Kind.UNTOUCHED or entry.kind >= Kind.HIDDEN:
        return entry.rights
    return rights_in(aegis.table_entry(page))


def rights_in(now: abi.TableEntry) -> u64:
    """What the kernel's table says of a page that is mapped."""
    return Right.WRITE if now.writable else (Right.READ if now.no_execute else u64(Right.EXECUTE))


# ---- what the processor notes


@inline
def is_dirty(page: u64) -> bool:
    """Whether a page below PAGES was written since it was mapped or `clean`ed: no call."""
    return aegis.table_entry(page).dirty


@inline
def is_accessed(page: u64) -> bool:
    """Whether a page below PAGES was used since it was mapped or `clean`ed: no call."""
    return aegis.table_entry(page).accessed


def clean(page: u64) -> i64:
    """Begin anew to note whether a page is used and written. Returns 0, or BAD_ARGUMENT when nothing is mapped there."""
    if page >= PAGES or not aegis.table_entry(page).present:
        return Error.BAD_ARGUMENT
    note_written(page)
    return renew(page)


def note_saved(page: u64) -> i64:
    """What a page of a DROPPABLE region holds now is saved elsewhere. Returns 0, or BAD_ARGUMENT for another page."""
    region = find(page)
    entry = entry_of(page)
    if not region or region[0].flags & Flag.DROPPABLE == 0 or entry.kind != Kind.OWN:
        return Error.BAD_ARGUMENT
    entry.written = False
    put(page, entry)
    return renew(page)


def note_written(page: u64) -> None:
    """Before the processor's bit goes."""
    entry = entry_of(page)
    if is_dirty(page) and not entry.written:
        entry.written = True
        put(page, entry)


def renew(page: u64) -> i64:
    """Clear the processor's bits of a page that is mapped."""
    now = aegis.table_entry(page)
    kind: u64 = Kind.BOUND if now.bound else Kind.OWN
    return map_again(kind, page, now.slot if now.bound else now.frame, rights_in(now))


# ---- faults


def fault(address: u64, error: u64) -> bool:
    """The light handler of page faults: demand zero, copy on write, then the region's function."""
    if address - state.near_address < state.near_bytes:
        if error & PRESENT == 0:
            return touch(address, error)
        return state.near_function(address, error)
    return fault_anywhere(address, error)


@noinline
def touch(address: u64, error: u64) -> bool:
    """Put a frame of zeros behind a page of the near region, if nothing else is missing; or see what else there is."""
    page = address // PAGE_BYTES
    rights = state.near_demand
    if error & state.near_refused == 0 and table.missing(page) == 0 and table.get(page) == 0:
        frame = aegis.frame_claim(abi.ANY)
        if frame >= 0:
            if aegis.tlb_insert(page, u64(frame), rights) == 0:
                put(page, Entry(kind=Kind.OWN, frame=u64(frame)))
                return True
            aegis.frame_release(u64(frame))
        return fault_again()
    return fault_anywhere(address, error)


@noinline
def fault_again() -> bool:
    """`fault_anywhere` of the page fault that is being handled, whose address and error nobody has kept."""
    frame = aegis.environment_page().exception_frame
    return fault_anywhere(frame.address, frame.cause.error)


@noinline
def fault_anywhere(address: u64, error: u64) -> bool:
    """`fault`, in full."""
    if repair(address, error):
        return True
    region = find(address // PAGE_BYTES)
    if not region:
        return False
    if error & PRESENT == 0:
        note_loss(address // PAGE_BYTES)
    if state.copies or region[0].flags & Flag.NESTING:
        return exceptions.shielded(region[0].function, address, error)
    return region[0].function(address, error)


def repair(address: u64, error: u64) -> bool:
    """What needs no function: also the handler of page faults inside handlers."""
    page = address // PAGE_BYTES
    if page >= PAGES:
        return False
    entry = entry_of(page)
    if entry.raw == 0 or entry.kind == Kind.UNTOUCHED:
        region = find(page)
        if not region or region[0].flags & Flag.DEMAND == 0:
            return False
        rights = entry.rights if entry.raw != 0 else region[0].rights
        return permits(rights, error) and fill(page, rights) == 0
    if error & WRITE and entry.copy and entry.rights == Right.WRITE:
        return copy(page)
    return False


@inline
def refused_by(rights: u64) -> u64:
    """Bits of an error code that say of an access that rights do not allow it."""
    if rights == Right.NONE:
        return MINUS_ONE  # one is always set: it was the application
    return (0 if rights & Right.EXECUTE else u64(FETCH)) | (0 if rights & Right.WRITE else u64(WRITE))


@inline
def permits(rights: u64, error: u64) -> bool:
    """Whether rights allow the access of an error code."""
    return error & refused_by(rights) == 0


# ---- copy on write, and what fork needs


def next_page(page: u64, end: u64) -> u64:
    """The first page in [page, end) that has an entry (or is the first of a large page), or NOTHING."""
    if state.inherited:
        complete()
    return table.next(page, end)


def part(number: u64) -> tuple[u64, u64]:
    """Where entries may be, as first page and end of part `number`: the regions, and last the loose pages."""
    if number == state.regions_used:
        return state.loose, state.loose_end
    region = state.regions[number]
    return region.first, region.first + region.count


def next_of_part(number: u64, page: u64, end: u64) -> tuple[u64, u64]:
    """`next_page` within a part, and where pages from there on cease to be of it: at `end`, or where a region begins."""
    page = next_page(page, end)
    while number == state.regions_used and page != NOTHING:
        region = find(page)
        if not region:
            for i in range(state.regions_used):
                if state.regions[i].first > page and state.regions[i].count != 0:
                    end = min(end, state.regions[i].first)
            break
        page = next_page(region[0].first + region[0].count, end)
    return page, end


def run(page: u64, end: u64) -> u64:
    """How many pages from `page` on, which has an entry, at most BATCH and before `end`, are alike but for the frame."""
    first, now = entry_of(page), aegis.table_entry(page)
    noted = first.copy or first.kind == Kind.UNTOUCHED or first.kind >= Kind.HIDDEN  # its rights, here: see `rights_of`
    mask = u32(PLAIN_MASK | 7) if noted else u32(PLAIN_MASK)
    allowed: u64 = KIND_BITS if noted else KIND_BITS | 1 << 63 | 2  # what allows to write and execute
    alike = table.alike(page, min(end, page + BATCH), mask)
    mapped = Ptr[u64](abi.ENTRIES_ADDRESS) + page
    count: u64 = 1
    while count + 4 <= alike:
        some = mapped + count
        if (some[0] ^ now.raw | some[1] ^ now.raw | some[2] ^ now.raw | some[3] ^ now.raw) & allowed != 0:
            break
        count += 4
    while count < alike and (mapped[count] ^ now.raw) & allowed == 0:
        count += 1
    return count


def next_at_once(page: u64) -> u64:
    """The first page from `page` on, outside of regions, that fork must copy at once: see the top. Or NOTHING."""
    stack = u64(addr(exceptions.stack)) // PAGE_BYTES
    found = nearer(page, nearer(page, NOTHING, stack), stack + 1)
    found = nearer(page, found, u64(addr(state)) // PAGE_BYTES)
    found = nearer(page, found, u64(addr(slots.bindings)) // PAGE_BYTES)
    place = max(page, table_page()) - table_page()
    while place < table.MEMORY_PAGES:
        backed = state.backed[place // 64] >> place % 64
        if backed != 0:
            return nearer(page, found, table_page() + place + count_trailing_zeros(backed))
        place = (place // 64 + 1) * 64
    return found


@inline
def table_page() -> u64:
    """The first page of the table's memory."""
    return table.MEMORY // PAGE_BYTES


@inline
def nearer(page: u64, found: u64, other: u64) -> u64:
    """`other`, if it is not before `page` but before `found`."""
    return other if page <= other < found else found


def make_copy_on_write(page: u64, count: u64) -> i64:
    """Let writes to a `run` of pages (OWN or BOUND) copy them first, now or when they are allowed later; what is none stays
    as it is. Returns 0 or the kernel's error.
    """
    entry = entry_of(page)
    if entry.copy or (entry.kind != Kind.OWN and entry.kind != Kind.BOUND):
        return 0
    rights = rights_of(page)
    error = aegis.tlb_protect(page, count, Right.READ) if rights == Right.WRITE else 0
    if error == 0:
        table.change(page, count, 0xFFFF_FFF8, u32(8 | rights))  # copy, and the right that is wanted
        count_copies(count)
    return error


def copy(page: u64) -> bool:
    """The first write to a page with `copy`: if others use its frame, it gets another. False without memory."""
    entry = settled(page)
    now = aegis.table_entry(page)
    if not now.present:
        return False
    frame = i64(now.frame)
    if not now.own or aegis.frame_entry(now.frame).bindings != 0:
        frame = claim_copy(page)
        if frame < 0:
            return False
        if now.own and not lend(now.frame):
            aegis.frame_release(u64(frame))
            return False
        aegis.tlb_insert(page, u64(frame), Right.WRITE)
        if now.bound:
            aegis.unbind(now.slot)
            slots.release(slots.bindings, now.slot, 1)
            if aegis.frame_entry(now.frame).owner == aegis.environment_page().identifier:
                discard(LENT_END, now.frame)  # its owner ended just now, and it was ours
        entry.written = True
    else:
        entry.written = entry.written or now.dirty
        aegis.tlb_insert(page, now.frame, Right.WRITE)
    entry.frame = u64(frame)
    entry.kind = Kind.OWN
    entry.copy = False
    put(page, entry)
    count_copies(MINUS_ONE)
    state.copied += 1
    return True


def count_copies(more: u64) -> None:
    """`more` pages, or MINUS_ONE, are copied when they are written. Then a fault on a page of the near region may be one."""
    state.copies += more
    if state.near:
        come_near(Ptr[Region](state.near))


def inherit() -> None:
    """In a child whose memory is a copy of its parent's: lent frames are the parent's business, and the entries are
    looked at when one is needed. But what shall not be seen is hidden at once.
    """
    slots.bindings.copy_from(state.inherited_slots)
    state.lent = 0
    state.near_bytes = 0
    state.inherited = 1
    if state.inherited_hidden:
        complete()


@noinline
def complete() -> None:
    """Let the entries say what the kernel has mapped here: own pages of the parent's are bindings in the child."""
    copies: u64 = 0
    state.inherited = 0
    for number in range(state.regions_used + 1):
        first, end = part(number)
        page, stop = next_of_part(number, first, end)
        while page != NOTHING:
            entry = entry_of(page)
            while entry.raw != 0:  # most pages with entries have neighbours with entries
                now = aegis.table_entry(page)
                if now.present:
                    kind: u64 = Kind.BOUND if now.bound else (Kind.OWN if now.own else u64(Kind.PUBLIC))
                    if entry.kind == Kind.HIDDEN or entry.kind == Kind.HIDDEN_BOUND:
                        aegis.tlb_remove(page, 1)  # it was copied, and shown for that
                        kind = Kind.HIDDEN
                    watched = entry.copy and not now.writable  # else it was copied, or is the same memory
                    behind = now.slot if now.bound else now.frame
                    put(page, Entry(rights=entry.rights, copy=watched, kind=kind, written=True, frame=behind))
                    copies += u64(watched)
                elif not is_empty(entry):
                    table.remove(page)
                page += 1
                entry = Entry(table.get(page) if page < stop else u32(0))
            page, stop = next_of_part(number, page, end)
    state.copies = 0
    count_copies(copies)
    page = next_at_once(table_page())
    while page - table_page() < table.MEMORY_PAGES:
        aegis.frame_guarantee(aegis.table_entry(page).frame, 1)  # as `back` does with the page table's memory
        page = next_at_once(page + 1)


# ---- giving frames back


def give_back(count: u64) -> u64:
    """Give up to `count` frames back to the kernel: those lent that nobody uses, then pages that lose nothing (of zeros,
    or not written since they were brought), then what the policy chooses among DROPPABLE ones. Returns how many.
    """
    given = release_lent()
    page: u64 = 0
    while given < count:
        page = next_page(page, PAGES)
        if page == NOTHING:
            break
        if not is_written(page) and can_give(page) and drop(page):
            given += 1
        page += 1
    refused: u64 = 0
    while given < count and refused < REGIONS:
        page = state.policy()
        if page == NOTHING:
            break
        if can_give(page) and drop(page):
            given += 1
        else:
            refused += 1
    return given


def can_give(page: u64) -> bool:
    """Whether the contents of a page may go: what a region offers, and zeros that were never written."""
    region = find(page)
    if page >= PAGES or not region:
        return False
    entry = entry_of(page)
    offered: u64 = Flag.DROPPABLE if is_written(page) else Flag.DROPPABLE | Flag.DEMAND
    return entry.kind == Kind.OWN and not entry.copy and region[0].flags & offered != 0


def is_written(page: u64) -> bool:
    """Whether contents are lost with a page."""
    return entry_of(page).written or is_dirty(page)


def drop(page: u64) -> bool:
    """Give a page's frame to the kernel; False if it is in use, or its contents could not be saved."""
    region = find(page)
    entry = entry_of(page)
    if is_written(page) and not region[0].save(page):
        return False
    rights = rights_of(page)
    if aegis.frame_release(entry.frame) != 0:
        return False
    kind: u64 = Kind.UNTOUCHED if region[0].flags & Flag.DEMAND else Kind.GONE
    put(page, Entry(rights=rights, kind=kind, frame=NO_FRAME))
    return True


def answer_revocation() -> u64:
    """For event REVOKE: give back what is wanted, if there is as much. Returns how many frames."""
    return give_back(aegis.environment_page().wanted[Authority.MEMORY])


def note_losses() -> u64:
    """For event REPOSSESSED: see what was taken by force. Returns how many pages lost what they had."""
    found: u64 = 0
    page = next_page(0, PAGES)
    while page != NOTHING:
        found += u64(note_loss(page))
        page = next_page(page + 1, PAGES)
    return found


def note_loss(page: u64) -> bool:
    """See whether what was behind a page was taken: a frame of ours, or by its owner a bound one. Then it is GONE: the
    region's function may bring it back, and without one touching it ends the environment.
    """
    entry = settled(page)
    if entry.kind == Kind.BOUND:
        if aegis.table_entry(page).present:
            return False
        slots.release(slots.bindings, entry.frame, 1)
    elif entry.kind == Kind.OWN or entry.kind == Kind.HIDDEN or entry.kind == Kind.LARGE:
        frame = aegis.frame_entry(entry.frame)  # it may have come back meanwhile, for another page
        place = page if entry.kind != Kind.HIDDEN else u64(abi.NOWHERE)
        if frame.owner == aegis.environment_page().identifier and frame.page == place:
            return False
    else:
        return False
    split(page, False)
    region = find(page)
    if entry.copy:
        count_copies(MINUS_ONE)
    put(page, Entry(rights=region[0].rights if region else u64(Right.NONE), kind=Kind.GONE, frame=NO_FRAME))
    return True
