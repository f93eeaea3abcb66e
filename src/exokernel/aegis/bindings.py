# SPDX-License-Identifier: MIT
"""Secure bindings: rights that were checked once and noted in a slot of the owner's binding page, where their use is an
array access and two compares.

The bindings to one frame form a chain that begins in the frame's entry, so that breaking the frame ends them all, and
with each the one mapping that it may have. Nothing here asks whether somebody may bind: that is `capability`'s.
"""

from exokernel.aegis import environment, frames, tlb
from exokernel.aegis.abi import BINDINGS, NOWHERE, FrameEntry, FrameKind, Kind, Right
from exokernel.aegis.environment import Binding, Environment
from exokernel.machine.paging import PageTableEntry
from exokernel.metal import Ptr, addr, inline, offsetof, u32, u64

ALL = Right.READ | Right.WRITE | Right.EXECUTE


@inline
def binding_at(reference: u32) -> Binding:
    """The binding that a link of a chain means; 0 means none."""
    number = u64(reference) - 1
    return environment.records[number // BINDINGS].bindings[0][number % BINDINGS]


def make(identifier: u64, slot: u64, kind: u32, index: u64, rights: u32, generation: u32) -> None:
    """Fills a free slot; a frame's binding comes to the beginning of the frame's chain."""
    binding = environment.records[identifier].bindings[0][slot]
    environment.records[identifier].bound += 1
    if kind == Kind.FRAME:
        fill(
            addr(binding),
            identifier * BINDINGS + slot + 1,
            addr(frames.entry(index)),
            index,
            rights_word(rights),
            NOWHERE,
        )
        return
    binding.kind = kind
    binding.index = u32(index)
    binding.rights = rights
    binding.generation = generation


@inline
def rights_word(rights: u32) -> u64:
    """`rights` and `forbidden` of a binding."""
    forbidden = ~rights & (Right.WRITE | Right.EXECUTE) if rights != Right.NONE else u32(ALL)
    return u64(forbidden) << 32 | rights


@inline
def fill(binding: Ptr[Binding], reference: u64, entry: Ptr[FrameEntry], frame: u64, rights: u64, page: u64) -> None:
    """Fills a free slot with the right to a frame as it is now, the first in the frame's chain."""
    words = Ptr[u64](binding)
    chain = Ptr[u64](u64(entry) + offsetof(FrameEntry, "generation"))[0]  # and `bindings`
    entry[0].bindings = u32(reference)
    words[0] = page << 32 | Kind.FRAME
    words[1] = chain << 32 | frame
    words[2] = rights
    words[3] = chain >> 32
    if chain >> 32 != 0:
        binding_at(u32(chain >> 32)).previous = u32(reference)


def end(identifier: u64, slot: u64) -> None:
    """Frees a slot; the binding's mapping ends."""
    binding = environment.records[identifier].bindings[0][slot]
    if binding.kind == 0:
        return
    if binding.kind == Kind.FRAME:
        if binding.page != NOWHERE:
            tlb.unmap(identifier, u64(binding.page))
        leave_chain(binding)
    binding.kind = 0
    environment.records[identifier].bound -= 1


@inline
def leave_chain(binding: Binding) -> None:
    """Takes a frame's binding out of the frame's chain."""
    following, previous = binding.next, binding.previous
    if following != 0:
        binding_at(following).previous = previous
    if previous != 0:
        binding_at(previous).next = following
    else:
        frames.entry(u64(binding.index)).bindings = following


def end_next(record: Environment, limit: u64) -> u64:
    """Ends bindings of an environment that has ended, slot by slot; its tables stay as they are. Returns how many slots."""
    left, first = record.bound, record.bound_at
    end = first
    while left != 0 and end < min(first + limit, BINDINGS):
        binding = record.bindings[0][end]
        if binding.kind == Kind.FRAME:
            leave_chain(binding)
        left -= u64(binding.kind != 0)
        binding.kind = 0
        end += 1
    record.bound, record.bound_at = left, end
    return end - first


def end_some(frame: u64, limit: u64) -> None:
    """Ends up to `limit` bindings of a frame. Its capabilities are stale from here on, so that nobody makes new ones."""
    entry = frames.entry(frame)
    entry.generation += 1
    for _ in range(limit):
        if entry.bindings == 0:
            return
        number = u64(entry.bindings) - 1
        end(number // BINDINGS, number % BINDINGS)


def pass_on(frame: u64) -> None:
    """The owner of a bound frame has ended. Who bound it last becomes its owner if the owner had wanted that (INHERIT)
    and it is mapped, otherwise that binding ends.
    """
    number = u64(frames.entry(frame).bindings) - 1
    heir, slot = number // BINDINGS, number % BINDINGS
    binding = environment.records[heir].bindings[0][slot]
    page = u64(binding.page)
    inherited = binding.rights & Right.INHERIT != 0 and page != NOWHERE and environment.exists(heir)
    entry = tlb.entry_in(heir, page)[0] if inherited else PageTableEntry()
    end(heir, slot)
    if inherited:
        frames.move(frame, heir, FrameKind.DATA)
        frames.entry(frame).generation -= 1  # others have bound it too, as the owner that ended wanted it
        entry.own = True
        entry.bound = False
        entry.slot = 0
        tlb.put(heir, page, entry)
        frames.entry(frame).page = u32(page)
