# SPDX-License-Identifier: MIT
"""Environments made by applications, of frames that their creator gives. Who creates one binds it, and by that binding
fills its memory, starts it and ends it; the binding, or a capability, is all that the power over it rests on.

A new environment has nothing that was not given to it. Nothing here may take a frame that the caller does not own, nor
let the creator see what the environment claimed itself.
"""

from exokernel.aegis import (
    bindings,
    capability,
    ending,
    environment,
    frames,
    information,
    memory,
    processor,
    revocation,
    tlb,
)
from exokernel.aegis.abi import *
from exokernel.aegis.capability import UNBOUND
from exokernel.aegis.environment import BindingPage, parts
from exokernel.aegis.user_memory import UserAddress, copy_in
from exokernel.machine import paging
from exokernel.machine.paging import PageTableEntry, Part
from exokernel.metal import Ptr, Span, addr, i64, inline, noinline, u8, u32, u64

ALL = Right.READ | Right.WRITE | Right.EXECUTE
KEPT = PageTableEntry(present=True, writable=True, user=True, frame=(1 << 40) - 1, key=15, no_execute=True).raw
WRITABLE, NO_EXECUTE = PageTableEntry(writable=True).raw, PageTableEntry(no_execute=True).raw
BOUND = PageTableEntry(bound=True).raw


def state_of(identifier: u64) -> u32:
    return information.page.environments[identifier].state


def free_number() -> u64:
    """The first number without an environment; ENVIRONMENTS if there is none."""
    for number in range(ENVIRONMENTS):
        if state_of(number) == State.FREE:
            return number
    return ENVIRONMENTS


def create(slot: u64, number: u64, address: u64, fourth: u64) -> i64:
    """The call `environment_create`."""
    caller = environment.current().identifier
    if ending.unfinished != 0:
        ending.give_back()
    if number == ANY:
        number = free_number()
        if number == ENVIRONMENTS:
            return Error.NO_ROOM
    if slot >= BINDINGS or number >= ENVIRONMENTS:
        return Error.BAD_ARGUMENT
    if state_of(number) != State.FREE:
        return Error.BUSY
    if environment.records[caller].bindings[0][slot].kind != 0:
        return Error.IN_USE
    if not copy_in(Span[u8](Ptr[u8](addr(parts[0])), paging.PARTS * 8), UserAddress(address)):
        return Error.BAD_ADDRESS
    if memory.detach(parts[Part.PAGE], caller) != 0:  # it may be mapped, and is seen: it must not be a spare one
        return Error.NOT_OWNER
    for i in range(paging.PARTS):
        if not frames.can_become_table(parts[i], caller):
            for j in range(i):
                frames.move(parts[j], caller, FrameKind.DATA if j == Part.PAGE else FrameKind.SPARE)
            return Error.NOT_OWNER
        frames.move(parts[i], number, FrameKind.NODE)
    environment.assemble(number)
    information.page.events.created += 1
    revocation.forget(number)
    environment.records[number].creator = caller
    environment.creators |= u64(1) << caller
    generation = capability.generation_of(Kind.ENVIRONMENT, number)
    bindings.make(caller, slot, Kind.ENVIRONMENT, number, ALL, generation)
    return i64(number)


@inline
def bound(slot: u64) -> u64:
    """The environment that `slot` gives power over, if it is there; else UNBOUND."""
    target = capability.bound(slot, Kind.ENVIRONMENT)
    return target if target != UNBOUND and environment.exists(target) else UNBOUND


def give(slot: u64, virtual_page: u64, frame: u64, rights: u64) -> i64:
    """The call `environment_give`."""
    target = bound(slot)
    if target == UNBOUND:
        return Error.NOT_PERMITTED
    if virtual_page >= tlb.PAGES or tlb.RIGHTS[rights & 0xFF] == tlb.REFUSED:
        return Error.BAD_ARGUMENT
    if frames.is_public(frame):
        return tlb.insert_for(target, virtual_page, frame, rights)
    error = tlb.find_room(target, virtual_page)
    if error == 0:
        error = memory.give(frame, target, 0, 0)
    if error == 0:
        tlb.put_own(target, virtual_page, frame, rights)
    return error


def node(slot: u64, virtual_page: u64, frame: u64, fourth: u64) -> i64:
    """The call `environment_node`."""
    target = bound(slot)
    return tlb.node_for(target, virtual_page, frame) if target != UNBOUND else i64(Error.NOT_PERMITTED)


def share(slot: u64, first: u64, count: u64, how: u64) -> i64:
    """The call `environment_share`."""
    target = bound(slot)
    if target == UNBOUND:
        return Error.NOT_PERMITTED
    if count == 0 or count > BATCH or first > tlb.PAGES - count:
        return Error.BAD_ARGUMENT
    if how & ALL == 0 or how & 0xFF > ALL | Right.INHERIT:
        return Error.BAD_ARGUMENT
    next_slot = how >> 8
    done: u64 = 0
    while done < count:
        page = first + done
        entry = tlb.entry_of(page)[0]
        some: u64 = 1
        if entry.present and (entry.own or may_share(entry)):
            error = tlb.find_room(target, page)
            if error == 0 and (entry.own or entry.bound):
                if next_slot >= BINDINGS or environment.records[target].bindings[0][next_slot].kind != 0:
                    error = Error.NO_ROOM
                else:
                    tlb.put(target, page, PageTableEntry())
                    some = count - done if entry.own else u64(1)
                    some = share_alike(target, page, some, next_slot, fewer(entry, how), entry)
                    next_slot += some
            elif error == 0:
                tlb.put(target, page, entry)
            if error != 0:
                return error if done == 0 else i64(done)
        done += some
    return i64(count)


def may_share(entry: PageTableEntry) -> bool:
    """Whether a frame of somebody else's that is mapped is public, or has not been broken since it was bound."""
    mine = Ptr[BindingPage](environment.BINDING_PAGE)[0][entry.slot]
    return mine.generation == frames.entry(entry.frame).generation if entry.bound else frames.is_public(entry.frame)


@inline
def fewer(entry: PageTableEntry, how: u64) -> u64:
    """`how`, with no more rights than those by which the current environment has a page."""
    mine = Ptr[BindingPage](environment.BINDING_PAGE)[0][entry.slot]
    return how & u64(mine.rights | Right.READ) if entry.bound else how


@noinline
def share_alike(target: u64, page: u64, count: u64, slot: u64, how: u64, entry: PageTableEntry) -> u64:
    """Shares the page that `entry` maps, and those of its own that follow, as long as the other has nothing mapped there
    and slots are free, as is true for the first one. Returns how many, at least 1.
    """
    count = min(count, 512 - page % 512, BINDINGS - slot)
    mine, place = tlb.entry_of(page), tlb.entry_in(target, page)
    binding = addr(environment.records[target].bindings[0][slot])
    kept = KEPT if how & Right.WRITE else u64(KEPT & ~WRITABLE)
    added = (BOUND if how & Right.EXECUTE else u64(BOUND | NO_EXECUTE)) | slot << tlb.SLOT_SHIFT
    rights = bindings.rights_word(u32(how) & (ALL | Right.INHERIT) | Right.READ)
    reference = target * BINDINGS + slot + 1
    table = frames.table
    done: u64 = 0
    while True:
        frame = u64(u32(entry.frame))
        bindings.fill(binding, reference + done, table + frame, frame, rights, page + done)
        place[done] = PageTableEntry(entry.raw & kept | added)
        added += 1 << tlb.SLOT_SHIFT
        binding += 1
        done += 1
        if done == count:
            break
        entry = mine[done]
        if not entry.own or place[done].present or binding[0].kind != 0:
            break
    environment.records[target].bound += done
    return done


def start(slot: u64, ip: u64, sp: u64, fourth: u64) -> i64:
    """The call `environment_start`."""
    target = bound(slot)
    if target == UNBOUND:
        return Error.NOT_PERMITTED
    if ip >= USER_LIMIT:
        return Error.BAD_ARGUMENT
    if state_of(target) != State.EMBRYO:
        return Error.BUSY
    environment.set_context(environment.records[target].kernel_page[0].context, ip, sp)
    processor.start(target)
    return 0


def end(slot: u64, status: u64, third: u64, fourth: u64) -> i64:
    """The call `environment_end`."""
    target = bound(slot)
    if target == UNBOUND:
        return Error.NOT_PERMITTED
    if target == 0 or target == environment.current().identifier:
        return Error.BAD_ARGUMENT
    ending.finish(target, status)
    bindings.end(environment.current().identifier, slot)
    return 0
