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
from exokernel.metal import Ptr, Span, addr, i64, inline, u8, u32, u64

ALL = Right.READ | Right.WRITE | Right.EXECUTE


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
    error = tlb.find_room(target, virtual_page)
    if error == 0 and not frames.is_public(frame):
        error = memory.give(frame, target, 0, 0)
    return error if error != 0 else tlb.insert_for(target, virtual_page, frame, rights)


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
    bound_by = environment.records[target].bindings[0]
    for i in range(count):
        page = first + i
        entry = tlb.entry_of(page)[0]
        public = frames.is_public(entry.frame)
        if not entry.present or not (entry.own or public or (entry.bound and is_current(entry))):
            continue
        error = tlb.find_room(target, page)
        if error == 0 and not public and (next_slot >= BINDINGS or bound_by[next_slot].kind != 0):
            error = Error.NO_ROOM
        if error != 0:
            return error if i == 0 else i64(i)
        if not public:
            entry = share_page(target, next_slot, page, entry, how)
            next_slot += 1
        place = tlb.entry_in(target, page)
        if place[0].present:
            tlb.unmap(target, page)
        place[0] = entry
    return i64(count)


def is_current(entry: PageTableEntry) -> bool:
    """Whether the frame of a bound page has not been broken since it was bound."""
    binding = Ptr[BindingPage](environment.BINDING_PAGE)[0][entry.slot]
    return binding.generation == frames.entry(entry.frame).generation


@inline
def share_page(target: u64, slot: u64, virtual_page: u64, entry: PageTableEntry, how: u64) -> PageTableEntry:
    """Binds one of the current environment's pages in another environment. Returns how it is to be mapped there."""
    rights = how & (ALL | Right.INHERIT) | Right.READ
    if entry.bound:
        mine = Ptr[BindingPage](environment.BINDING_PAGE)[0][entry.slot]
        rights &= u64(mine.rights) | Right.READ
    entry.writable = entry.writable and how & Right.WRITE != 0
    entry.no_execute = entry.no_execute or how & Right.EXECUTE == 0
    entry.own = False
    entry.bound = True
    entry.slot = slot
    entry.accessed = False
    entry.dirty = False
    bindings.make(target, slot, Kind.FRAME, entry.frame, u32(rights), frames.entry(entry.frame).generation)
    environment.records[target].bindings[0][slot].page = u32(virtual_page)
    return entry


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
