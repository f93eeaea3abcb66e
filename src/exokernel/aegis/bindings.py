# SPDX-License-Identifier: MIT
"""Secure bindings: rights that were checked once and noted in a slot of the owner's binding page, where their use is an
array access and two compares.

The bindings to one frame form a chain that begins in the frame's entry, so that breaking the frame ends them all, and
with each the one mapping that it may have. Nothing here asks whether somebody may bind: that is `capability`'s.
"""

from exokernel.aegis import environment, frames, tlb
from exokernel.aegis.abi import BINDINGS, NOWHERE
from exokernel.aegis.environment import FRAME_BINDING, Binding
from exokernel.metal import inline, u32, u64


@inline
def binding_at(reference: u32) -> Binding:
    """The binding that a link of a chain means; 0 means none."""
    number = u64(reference) - 1
    return environment.records[number // BINDINGS].bindings[0][number % BINDINGS]


def chain(identifier: u64, slot: u64) -> None:
    """Puts a binding at the beginning of its frame's chain."""
    binding = environment.records[identifier].bindings[0][slot]
    reference = u32(identifier * BINDINGS + slot + 1)
    entry = frames.entry(u64(binding.index))
    binding.next = entry.bindings
    binding.previous = 0
    if entry.bindings != 0:
        binding_at(entry.bindings).previous = reference
    entry.bindings = reference


def end(identifier: u64, slot: u64) -> None:
    """Frees a slot; the binding's mapping ends."""
    binding = environment.records[identifier].bindings[0][slot]
    if binding.kind == FRAME_BINDING:
        if binding.page != NOWHERE:
            tlb.unmap(identifier, u64(binding.page))
        if binding.next != 0:
            binding_at(binding.next).previous = binding.previous
        if binding.previous != 0:
            binding_at(binding.previous).next = binding.next
        else:
            frames.entry(u64(binding.index)).bindings = binding.next
    binding.kind = 0


def end_some(frame: u64, limit: u64) -> u64:
    """Ends up to `limit` bindings of a frame; how many there were to end."""
    ended: u64 = 0
    while ended < limit and frames.entry(frame).bindings != 0:
        number = u64(frames.entry(frame).bindings) - 1
        end(number // BINDINGS, number % BINDINGS)
        ended += 1
    return ended


def end_all(identifier: u64) -> None:
    """Ends what an environment has bound, and what others have bound of it."""
    for slot in range(BINDINGS):
        end(identifier, slot)
    ring = frames.count + identifier
    frame = u64(frames.entry(ring).next)
    while frame != ring:
        while frames.entry(frame).bindings != 0:
            end_some(frame, BINDINGS)
        frame = u64(frames.entry(frame).next)
