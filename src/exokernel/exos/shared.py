# SPDX-License-Identifier: MIT
"""Memory that environments share. Who owns pages offers them as capabilities, three words of plain data each, which
`publish` and `find` carry to whom they are meant for; who accepts them has the same memory at an address of its own,
until one of the two ends it.

A partner is named by its number and its generation, so that a later environment of the same number is not taken for
it; the kernel's calls count only the number in it. A partner may write anything into what is shared, at any time: read
once, then check. When the owner ends, or ends the sharing, a page of zeros takes the place of what was shared, so a
survivor goes on and `lost` tells. All memory here is in the library's region, and every failure is an error value.
"""

from collections.abc import Callable

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Kind, Right, State
from exokernel.exos import aegis, slots, transfer, vm
from exokernel.exos.aegis import Message
from exokernel.metal import *

REGION = 0x1D00_0000 // abi.PAGE_BYTES
PAGES = 4096
PUBLICATIONS = 16
FIND = 0x6573_6F68_7769_7468  # the first word of a message that asks for a publication


@struct
class Capability:
    """The right to a page, for whoever has these three words."""

    name: u64
    rights: u64  # `Right` bits, and from bit 32 on the frame's generation
    mac: u64


@struct
class Publication:
    """A capability that `receiver` may have by asking for `key`."""

    key: u64  # 0: nothing is here
    receiver: u64  # a partner, or ANY
    capability: Capability


taken: Array[u64, PAGES // 64] = Array[u64, PAGES // 64]()
tombstone: Capability = Capability()  # of the page of zeros
publications: Array[Publication, PUBLICATIONS] = Array[Publication, PUBLICATIONS]()
answering: bool = False
others: Array[Callable[[u64, Message], None], 1] = Array[Callable[[u64, Message], None], 1]([transfer.nobody])


# ---- partners


@inline
def partner(number: u64) -> u64:
    """The environment that has this number now."""
    return number | u64(aegis.system_page().environments[number].generation) << 32


@inline
def alive(partner: u64) -> bool:
    """Whether this very environment has not ended."""
    status = aegis.system_page().environments[partner & 0xFF]
    state = status.state
    return state != State.FREE and state != State.ENDED and status.generation == partner >> 32


@inline
def lost(partner: u64, address: u64) -> bool:
    """Whether what is shared with `partner` at `address` is not shared any more. What it did before is there to be
    seen, if the memory is ours.
    """
    return not alive(partner) or aegis.table_entry(address // abi.PAGE_BYTES).frame == tombstone.name & 0xFFFF_FFFF


@noinline
def rest(partner: u64, address: u64, result: i64) -> bool:
    """Before another turn of waiting, after a yield to `partner` had this result: False if there is nothing to wait for
    any more. Who sleeps is given time to wake up.
    """
    if lost(partner, address):
        return False
    if result != 0:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    return True


@inline
def await_turn(turn: Ptr[u64], mine: u64, partner: u64) -> i64:
    """Give the processor to `partner` until the shared word holds `mine`. Returns 0, or PARTNER_LOST. To hand over:
    store the partner's value.
    """
    while volatile_load(turn) != mine:
        result = aegis.yield_to(partner)
        if volatile_load(turn) == mine:
            break
        if not rest(partner, u64(turn), result):
            if volatile_load(turn) == mine:
                break  # the last thing that it did
            return Error.PARTNER_LOST
    compiler_barrier()
    return 0


# ---- sharing


def create(count: u64) -> i64:
    """Zeroed memory of `count` pages of ours. Returns its address, NO_FRAMES or NO_ROOM (of the region)."""
    address = take(count)
    if address < 0:
        return address
    for i in range(count):
        error = vm.fill(u64(address) // abi.PAGE_BYTES + i, Right.WRITE)
        if error != 0:
            end(u64(address), count)
            return error
    return address


def take(count: u64) -> i64:
    """The address of `count` pages of the region, where nothing is yet, or an error."""
    error = vm.reserve(REGION, PAGES, Right.NONE, vm.Flag.SHARED, fault)
    if error != 0 and error != Error.IN_USE:  # it is reserved already
        return error
    first = slots.take(taken, count) if count != 0 else slots.NOTHING
    return i64((REGION + first) * abi.PAGE_BYTES) if first != slots.NOTHING else i64(Error.NO_ROOM)


def offer(address: u64, rights: u64, capability: Capability) -> i64:
    """Make a capability of the page of ours at `address`, with `rights`. Returns 0 or NOT_OWNER."""
    frame = aegis.table_entry(address // abi.PAGE_BYTES).frame
    capability.name = u64(Kind.FRAME) << abi.NAME_INDEX_BITS | frame
    capability.rights = u64(aegis.frame_entry(frame).generation) << 32 | rights
    mac = aegis.capability_mint(capability.name, capability.rights)
    capability.mac = u64(mac)
    return min(mac, 0)


def accept(capabilities: Span[Capability], rights: u64) -> i64:
    """Map the pages of others that these are capabilities of, side by side. Returns the address; the kernel's error of
    the first that it refuses (FORGED, STALE, NOT_PERMITTED); NO_ROOM, of binding slots or of the region; NO_FRAMES.
    """
    if tombstone.mac == 0:
        zeros = create(1)  # for what will be lost
        if zeros < 0:
            return Error.NO_FRAMES
        offer(u64(zeros), Right.WRITE, tombstone)
    count = len(capabilities)
    address = take(count)
    if address < 0:
        return address
    for i in range(count):
        error = bind(u64(address) // abi.PAGE_BYTES + i, capabilities[i], rights)
        if error != 0:
            end(u64(address), count)
            return error
    return address


def bind(page: u64, capability: Capability, rights: u64) -> i64:
    """Map what a capability is of at a page of the region. Returns 0 or an error."""
    slot = slots.take(slots.bindings, 1)
    if slot == slots.NOTHING:
        return Error.NO_ROOM
    error = aegis.bind(slot, capability.name, capability.rights, capability.mac)
    if error == 0:
        error = vm.map_as(vm.Kind.BOUND, page, slot, 1, rights)
    if error != 0:
        aegis.unbind(slot)
        slots.release(slots.bindings, slot, 1)
    return error


def end(address: u64, count: u64) -> None:
    """End the sharing of `count` pages from `address` on, which `create` or `accept` gave: those of ours are taken from
    whoever has accepted them, and released.
    """
    first = address // abi.PAGE_BYTES
    for page in range(first, first + count):
        now = aegis.table_entry(page)
        while now.present and now.own and aegis.frame_break(now.frame) == 1:
            pass
    vm.unmap(first, count)
    slots.release(taken, first - REGION, count)


def fault(address: u64, error: u64) -> bool:
    """A page fault in the region: where something was shared there are zeros from now on."""
    page = address // abi.PAGE_BYTES
    return vm.entry_of(page).kind == vm.Kind.GONE and bind(page, tombstone, Right.WRITE) == 0


# ---- how environments meet


def publish(key: u64, receiver: u64, capability: Capability) -> i64:
    """From now on whoever is `receiver` (a partner, or abi.ANY) gets `capability` when it asks for `key`, which is not
    0. Returns 0 or NO_ROOM. An application that answers transfers itself calls transfer.serve before.
    """
    global answering
    for publication in publications:
        if publication.key == 0:
            publication.receiver = receiver
            publication.capability.copy_from(capability)
            compiler_barrier()  # somebody may ask in the middle of this
            publication.key = key
            if not answering:
                answering = True
                others[0] = transfer.handlers[0]
                transfer.serve(answer)
            return 0
    return Error.NO_ROOM


def withdraw(key: u64) -> None:
    """End all publications of `key`. Who has its capability already keeps it."""
    for publication in publications:
        if publication.key == key:
            publication.key = 0


def answer(caller: u64, message: Message) -> None:
    """Gives each caller what was published for it. The words are the error, or 0, and the capability."""
    words = message.words
    if words[0] != FIND:
        others[0](caller, message)
        return
    key = words[1]
    words.fill(0)
    words[0] = u64(i64(Error.NOT_PERMITTED))
    for publication in publications:
        if publication.key == key and key != 0:
            if publication.receiver == abi.ANY or publication.receiver == partner(caller):
                words[0] = 0
                within(message).copy_from(publication.capability)
                return


@inline
def within(message: Message) -> Capability:
    """The capability in an answer."""
    return Ptr[Capability](addr(message.words[1]))[0]


def look(owner: u64, key: u64, capability: Capability) -> i64:
    """Ask `owner` for what it publishes as `key`. Returns 0, NOT_PERMITTED when there is nothing for us, or as
    aegis.transfer.
    """
    message = Message()
    message.words[0] = FIND
    message.words[1] = key
    result = aegis.transfer(owner, message)
    if result < 0:
        return result
    if message.words[0] != 0:
        return Error.NOT_PERMITTED
    capability.copy_from(within(message))
    return 0


def find(owner: u64, key: u64, capability: Capability) -> i64:
    """As `look`, until there is something. Returns 0, or PARTNER_LOST when `owner` has ended."""
    while look(owner, key, capability) != 0:
        if not alive(owner):
            return Error.PARTNER_LOST
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    return 0
