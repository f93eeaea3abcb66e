# SPDX-License-Identifier: MIT
"""Visible revocation and the abort protocol: an environment is asked for frames or slices, chooses them itself, and
loses by force what it has not given back when its time is over.

Who may ask has bound the authority over memory or over the processor. The order is a goal, how many of them the
environment may keep, so that claiming others instead does not help. Taking by force ends mappings and bindings in
bounded steps at each tick, oldest frame first, and writes the names into the environment's repossession vector. What is
guaranteed, pinned or a table is never taken, nor is the last slice.
"""

from exokernel.aegis import bindings, capability, ending, environment, frames, information, network, processor, tlb
from exokernel.aegis.abi import *
from exokernel.machine import cpu
from exokernel.metal import Array, count_ones, count_trailing_zeros, i64, struct, u64

STEPS = 64  # frames looked at, or bindings ended, at one tick


@struct
class Order:
    """That an environment may keep no more than `goal` of something after `deadline`."""

    goal: u64
    deadline: u64  # a timestamp; FOREVER: there is no order
    passed: u64  # frames that could not be taken, since the last that could


orders: Array[Order, 2 * ENVIRONMENTS] = Array[Order, 2 * ENVIRONMENTS]([
    Order(deadline=FOREVER) for _ in range(2 * ENVIRONMENTS)
])  # fmt: skip
pending: u64 = 0  # bit n: environment n has an order


def owned(identifier: u64, what: u64) -> u64:
    """How many frames, or slices, an environment has."""
    if what == Authority.MEMORY:
        return u64(information.page.environments[identifier].frames)
    return count_ones(environment.records[identifier].positions)


def goal_of(owns: u64, count: u64, least: u64) -> u64:
    """How many may be kept of `owns` when `count` are wanted, but `least` are never taken."""
    return max(owns - min(count, owns), min(least, owns))


def revoke(slot: u64, target: u64, count: u64, deadline: u64) -> i64:
    """The call `revoke`."""
    global pending
    what = capability.bound(slot, Kind.AUTHORITY)
    if what == capability.UNBOUND:
        return Error.NOT_PERMITTED
    if target >= ENVIRONMENTS or not environment.exists(target):
        return Error.NO_ENVIRONMENT
    order = orders[2 * target + what]
    if order.deadline != FOREVER:
        return Error.BUSY
    order.goal = goal_of(owned(target, what), count, what)
    order.deadline = min(deadline, FOREVER - 1)
    order.passed = 0
    pending |= u64(1) << target
    processor.earliest = min(processor.earliest, order.deadline)
    page = environment.records[target].page[0]
    page.wanted[what] = count
    page.wanted_until[what] = deadline
    processor.post(target, Event.REVOKE)
    return 0


def forget(identifier: u64) -> None:
    """A new environment has this number: what was wanted of the last one is not wanted of it."""
    for what in range(u64(len(Authority))):
        orders[2 * identifier + what].deadline = FOREVER


def is_full(identifier: u64, now: u64) -> bool:
    """Whether an environment must give frames back, by an order whose deadline is before `now`, before it gets others."""
    order = orders[2 * identifier + Authority.MEMORY]
    return order.deadline < now and owned(identifier, Authority.MEMORY) >= order.goal


def tick(first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The timer, acknowledged, and this is not the plain case. Returns the root to load."""
    now = cpu.read_timestamp()
    if processor.earliest <= now:
        processor.wake_expired(now)
        if ending.unfinished != 0:
            ending.give_back()
        enforce(now)
        network.attend(now)
        if ending.unfinished != 0:
            processor.earliest = 0
    return processor.tick()


def enforce(now: u64) -> None:
    """Ends the orders that are fulfilled, and takes a bounded part of what is overdue, from each environment as much."""
    global pending
    left = pending
    while left != 0:
        identifier = count_trailing_zeros(left)
        left &= left - 1
        steps = STEPS // count_ones(pending)
        open_orders: u64 = 0
        for what in range(u64(len(Authority))):
            order = orders[2 * identifier + what]
            if order.deadline == FOREVER:
                continue
            if environment.exists(identifier) and order.deadline <= now:
                take(identifier, what, order, steps)
            if not environment.exists(identifier) or owned(identifier, what) <= order.goal:
                order.deadline = FOREVER
                if environment.exists(identifier):
                    environment.records[identifier].page[0].wanted[what] = 0
            else:
                open_orders += 1
                processor.earliest = min(processor.earliest, order.deadline)
        if open_orders == 0:
            pending &= ~(u64(1) << identifier)


def take(identifier: u64, what: u64, order: Order, steps: u64) -> None:
    """Takes what is overdue, in at most `steps` steps."""
    while steps != 0 and owned(identifier, what) > order.goal:
        steps -= 1
        if what == Authority.PROCESSOR:
            slice = count_trailing_zeros(environment.records[identifier].positions)
            processor.change_owner(slice, ENVIRONMENTS)
            lose(identifier, Kind.SLICE, slice)
        else:
            take_oldest_frame(identifier, order)


def take_oldest_frame(identifier: u64, order: Order) -> None:
    """One step: ends a binding of the oldest frame, or takes it, or passes over it if it must not be taken."""
    frame = frames.oldest(identifier)
    entry = frames.entry(frame)
    if entry.kind == FrameKind.NODE or entry.pins != 0 or entry.flags != 0:
        frames.rotate(frame, identifier)
        order.passed += 1
        if order.passed > owned(identifier, Authority.MEMORY):
            order.goal = owned(identifier, Authority.MEMORY)  # there are no others
        return
    order.passed = 0
    if entry.bindings != 0:
        bindings.end_some(frame, 1)
        return
    if entry.page != NOWHERE:
        tlb.unmap(identifier, u64(entry.page))
    frames.move(frame, FRAME_FREE, FrameKind.NONE)
    lose(identifier, Kind.FRAME, frame)


def lose(identifier: u64, kind: u64, index: u64) -> None:
    """Writes a loss into the repossession vector, and tells of it."""
    page = environment.records[identifier].page[0]
    page.lost[page.lost_count % LOST] = kind << NAME_INDEX_BITS | index
    page.lost_count += 1
    information.page.events.repossessed += 1
    processor.post(identifier, Event.REPOSSESSED)
