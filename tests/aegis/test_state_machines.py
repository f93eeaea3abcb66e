# SPDX-License-Identifier: MIT
"""The kernel's decisions over time, compiled for the workstation, driven by random histories against plain models."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exokernel.aegis import capability, processor, revocation
from exokernel.aegis.abi import SLICES
from exokernel.metal import native

compiled = native.compile_functions(
    [processor.position_after, revocation.goal_of, capability.mac_of, capability.is_genuine, capability.is_weaker]
)
positions = st.integers(0, SLICES - 1)


class Slices(RuleBasedStateMachine):
    """Whatever is claimed, released, asleep or awake: each slice whose owner can run is run once a round."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = 0
        self.position = SLICES - 1
        self.waited: dict[int, int] = {}  # ready position: slices begun since it last ran

    @rule(position=positions)
    def becomes_ready(self, position: int) -> None:
        self.ready |= 1 << position
        self.waited.setdefault(position, 0)

    @rule(position=positions)
    def cannot_run(self, position: int) -> None:
        self.ready &= ~(1 << position)
        self.waited.pop(position, None)

    @precondition(lambda self: self.ready)
    @rule()
    def a_slice_ends(self) -> None:
        self.position = compiled.position_after(self.position, self.ready)
        assert self.ready >> self.position & 1
        self.waited = {p: 0 if p == self.position else n + 1 for p, n in self.waited.items()}

    @invariant()
    def nobody_starves(self) -> None:
        assert all(n < SLICES for n in self.waited.values())


class Revocation(RuleBasedStateMachine):
    """An order takes what was wanted and no more, never the least; giving back in time saves the rest, claiming others
    instead does not.
    """

    @initialize(owned=st.integers(0, 300), wanted=st.integers(0, 2**64 - 1), least=st.integers(0, 2))
    def order(self, owned: int, wanted: int, least: int) -> None:
        self.first, self.owned, self.wanted, self.least = owned, owned, wanted, least
        self.goal = compiled.goal_of(owned, wanted, least)
        self.claimed = 0

    @rule()
    def claims_one(self) -> None:
        self.owned += 1
        self.claimed += 1

    @precondition(lambda self: self.owned)
    @rule()
    def gives_one_back(self) -> None:
        self.owned -= 1

    @rule()
    def the_deadline_passes(self) -> None:
        taken = max(self.owned - self.goal, 0)
        assert taken <= min(self.wanted, self.first) + self.claimed
        self.owned -= taken
        assert self.owned <= max(self.first - self.wanted, min(self.least, self.first))

    @invariant()
    def the_least_is_kept(self) -> None:
        assert self.goal >= min(self.least, self.first) and self.goal <= self.first


class Capabilities(RuleBasedStateMachine):
    """What is genuine was minted, or weakened from what is: nothing else, whatever is put together from their words."""

    @initialize(low=st.integers(0, 2**64 - 1), high=st.integers(0, 2**64 - 1))
    def boot(self, low: int, high: int) -> None:
        self.key = low, high
        self.genuine: dict[tuple[int, int], int] = {}

    @rule(name=st.integers(0, 7), rights=st.integers(0, 7), generation=st.integers(0, 3))
    def mint(self, name: int, rights: int, generation: int) -> None:
        words = name, rights | generation << 32
        self.genuine[words] = compiled.mac_of(*self.key, *words)

    @precondition(lambda self: self.genuine)
    @rule(data=st.data(), fewer=st.integers(0, 7))
    def weaken(self, data: st.DataObject, fewer: int) -> None:
        name, rights = data.draw(st.sampled_from(sorted(self.genuine)))
        wanted = fewer | rights >> 32 << 32
        assert compiled.is_weaker(rights, wanted) == (fewer & ~rights & 7 == 0)
        if compiled.is_weaker(rights, wanted):
            self.genuine[name, wanted] = compiled.mac_of(*self.key, name, wanted)

    @precondition(lambda self: self.genuine)
    @rule(data=st.data(), name=st.integers(0, 7), rights=st.integers(0, 7), generation=st.integers(0, 3))
    def present(self, data: st.DataObject, name: int, rights: int, generation: int) -> None:
        words = name, rights | generation << 32
        mac = data.draw(st.sampled_from(sorted(self.genuine.values())))
        assert compiled.is_genuine(*self.key, *words, mac) == (self.genuine.get(words) == mac)


for machine in (Slices, Revocation, Capabilities):
    machine.TestCase.settings = settings(deadline=None, max_examples=60)
TestSlices, TestRevocation, TestCapabilities = Slices.TestCase, Revocation.TestCase, Capabilities.TestCase
