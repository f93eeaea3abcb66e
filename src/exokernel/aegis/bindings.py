# SPDX-License-Identifier: MIT
"""Secure bindings: rights that were checked once and noted in a slot of the owner's binding page, where their use is an
array access and two compares.

The bindings to one frame form a chain that begins in the frame's entry, so that breaking the frame ends them all, and
with each the one mapping that it may have. Nothing here asks whether somebody may bind: that is `capability`'s.
"""

from exokernel.aegis import environment, frames, tlb
from exokernel.aegis.abi import BINDINGS, NOWHERE, FrameKind, Kind, Right
from exokernel.aegis.environment import Binding
from exokernel.machine.paging import PageTableEntry
from exokernel.metal import inline, u32, u64

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
    binding.kind = kind
    binding.index = u32(index)
    binding.rights = rights
    binding.forbidden = ~rights & (Right.WRITE | Right.EXECUTE) if rights != Right.NONE else ALL
    binding.generation = generation
    binding.page = NOWHERE
    if kind == Kind.FRAME:
        reference = u32(identifier * BINDINGS + slot + 1)
        entry = frames.entry(index)
        binding.next = entry.bindings
        binding.previous = 0
        if entry.bindings != 0:
            binding_at(entry.bindings).previous = reference
        entry.bindings = reference


def end(identifier: u64, slot: u64) -> None:
    """Frees a slot; the binding's mapping ends."""
    binding = environment.records[identifier].bindings[0][slot]
    if binding.kind == 0:
        return
    if binding.kind == Kind.FRAME:
        if binding.page != NOWHERE:
            tlb.unmap(identifier, u64(binding.page))
        if binding.next != 0:
            binding_at(binding.next).previous = binding.previous
        if binding.previous != 0:
            binding_at(binding.previous).next = binding.next
        else:
            frames.entry(u64(binding.index)).bindings = binding.next
    binding.kind = 0
    environment.records[identifier].bound -= 1


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
