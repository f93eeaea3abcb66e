# SPDX-License-Identifier: MIT
"""Capabilities: rights that prove themselves. Three words of plain data, the name of a resource, rights with the
generation, and a MAC of these two under a key that only this boot knows; so they need no table, and can be passed from
one environment to another without the kernel.

The owner of a resource mints, everybody can weaken, and `bind` checks once what is then used without a check. A frame
that changes its owner or is broken moves its generation on, which makes every capability of the old one stale. Nothing
here may accept a MAC that it did not compute itself from the same two words.
"""

from exokernel.aegis import bindings, environment, filter, frames, information, receiving
from exokernel.aegis.abi import *
from exokernel.aegis.environment import NOBODY, ORPHAN, BindingPage
from exokernel.machine import cpu
from exokernel.metal import Ptr, i64, inline, rotate_left, struct, u32, u64

RIGHTS = Right.READ | Right.WRITE | Right.EXECUTE
UNBOUND = 0xFFFFFFFFFFFFFFFF
NON_NEGATIVE = 0x7FFFFFFFFFFFFFFF  # a MAC is the result of a call too


@struct
class Key:
    low: u64
    high: u64


@struct
class Hash:
    """SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012), word by word."""

    v0: u64
    v1: u64
    v2: u64
    v3: u64

    def begin(self, low: u64, high: u64) -> None:
        self.v0 = low ^ 0x736F6D6570736575
        self.v1 = high ^ 0x646F72616E646F6D
        self.v2 = low ^ 0x6C7967656E657261
        self.v3 = high ^ 0x7465646279746573

    def round(self) -> None:
        self.v0 += self.v1
        self.v2 += self.v3
        self.v1 = rotate_left(self.v1, 13) ^ self.v0
        self.v3 = rotate_left(self.v3, 16) ^ self.v2
        self.v0 = rotate_left(self.v0, 32)
        self.v2 += self.v1
        self.v0 += self.v3
        self.v1 = rotate_left(self.v1, 17) ^ self.v2
        self.v3 = rotate_left(self.v3, 21) ^ self.v0
        self.v2 = rotate_left(self.v2, 32)

    def absorb(self, word: u64) -> None:
        """Eight bytes of the message; of the last word, the upper byte is the message's length."""
        self.v3 ^= word
        self.round()
        self.round()
        self.v0 ^= word

    def finish(self) -> u64:
        self.v2 ^= 0xFF
        for _ in range(4):
            self.round()
        return self.v0 ^ self.v1 ^ self.v2 ^ self.v3


key: Key = Key()


def initialize() -> None:
    """Draws this boot's key."""
    key.low = cpu.random()
    key.high = cpu.random()


def mac_of(low: u64, high: u64, name: u64, rights: u64) -> u64:
    """The MAC of a capability under a key."""
    state = Hash()
    state.begin(low, high)
    state.absorb(name)
    state.absorb(rights)
    state.absorb(16 << 56)
    return state.finish() & NON_NEGATIVE


@inline
def is_genuine(low: u64, high: u64, name: u64, rights: u64, mac: u64) -> bool:
    """Whether a MAC was computed from these words under this key."""
    return mac_of(low, high, name, rights) == mac


@inline
def is_weaker(rights: u64, fewer: u64) -> bool:
    """Whether `fewer` adds no right; the generations, above the rights, must agree."""
    return fewer & ~rights & 0xFFFFFFFF == 0 and fewer >> 32 == rights >> 32


def owner_of(kind: u64, index: u64) -> u64:
    """The environment that may mint capabilities of a resource; NOBODY if there is no such resource."""
    if kind == Kind.FRAME and index < frames.count and frames.entry(index).kind == FrameKind.DATA:
        return u64(frames.entry(index).owner)
    if kind == Kind.SLICE and index < SLICES:
        return u64(information.page.slice_owners[index])
    if kind == Kind.ENVIRONMENT and index < ENVIRONMENTS and environment.exists(index):
        creator = environment.records[index].creator
        return creator if creator != ORPHAN else 0
    if (kind == Kind.LINE and index < LINES) or (kind == Kind.AUTHORITY and index < len(Authority)):
        return 0
    if kind == Kind.CAPTURE and index == 0:
        return 0
    if kind == Kind.FILTER and index < filter.FILTERS and receiving.table.filters[index].taken:
        return u64(receiving.table.filters[index].owner)
    return NOBODY


def generation_of(kind: u64, index: u64) -> u32:
    """Of a resource that exists, or once did."""
    if kind == Kind.FRAME:
        return frames.entry(index).generation
    if kind == Kind.SLICE:
        return information.page.slice_generations[index]
    if kind == Kind.ENVIRONMENT:
        return information.page.environments[index].generation
    if kind == Kind.FILTER:
        return receiving.generations[index]
    return 0


def bound(slot: u64, kind: u64) -> u64:
    """The number of the resource of a kind that the current environment has bound in a slot and may change; UNBOUND if
    there is none, or it is not any more what was bound.
    """
    if rights_of(slot, kind) & Right.WRITE == 0:
        return UNBOUND
    return u64(Ptr[BindingPage](environment.BINDING_PAGE)[0][slot].index)


def rights_of(slot: u64, kind: u64) -> u32:
    """The rights to a resource of a kind that the current environment has bound in a slot; none if it is something else."""
    if slot >= BINDINGS:
        return 0
    binding = Ptr[BindingPage](environment.BINDING_PAGE)[0][slot]
    if binding.kind != kind or binding.generation != generation_of(kind, u64(binding.index)):
        return 0
    return binding.rights


def mint(name: u64, rights: u64, third: u64, fourth: u64) -> i64:
    """The call `capability_mint`."""
    kind = name >> NAME_INDEX_BITS
    index = name & ((1 << NAME_INDEX_BITS) - 1)
    if kind == 0 or kind > Kind.CAPTURE or u32(rights) & ~u32(RIGHTS) != 0:
        return Error.BAD_ARGUMENT
    if owner_of(kind, index) != environment.current().identifier:
        return Error.NOT_OWNER
    if u64(generation_of(kind, index)) != rights >> 32:
        return Error.STALE
    return i64(mac_of(key.low, key.high, name, rights))


def weaken(name: u64, rights: u64, mac: u64, fewer: u64) -> i64:
    """The call `capability_weaken`."""
    if not is_genuine(key.low, key.high, name, rights, mac):
        return Error.FORGED
    if not is_weaker(rights, fewer):
        return Error.BAD_ARGUMENT
    return i64(mac_of(key.low, key.high, name, fewer))


def bind(slot: u64, name: u64, rights: u64, mac: u64) -> i64:
    """The call `bind`."""
    if slot >= BINDINGS:
        return Error.BAD_ARGUMENT
    if not is_genuine(key.low, key.high, name, rights, mac):
        return Error.FORGED
    kind = name >> NAME_INDEX_BITS
    index = name & ((1 << NAME_INDEX_BITS) - 1)  # of what exists, since its owner minted this
    if u64(generation_of(kind, index)) != rights >> 32:
        return Error.STALE
    identifier = environment.current().identifier
    if environment.records[identifier].bindings[0][slot].kind != 0:
        return Error.IN_USE
    bindings.make(identifier, slot, u32(kind), index, u32(rights), u32(rights >> 32))
    return 0


def unbind(slot: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `unbind`."""
    if slot >= BINDINGS:
        return Error.BAD_ARGUMENT
    bindings.end(environment.current().identifier, slot)
    return 0
