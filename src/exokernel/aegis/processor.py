# SPDX-License-Identifier: MIT
"""The processor: a vector of time slices, each with an owner, and the choice of who runs next.

The timer ends a slice; the next slice whose owner can run begins. `ready` keeps one bit per slice whose owner can run,
so the choice is a rotation and a count of zeros, however many slices there are. An environment sleeps only by `wait`.

An environment with an epilogue ends its slice itself, on borrowed time: each tick on the way is one of its later slices
that the kernel passes over, or, if it owns none, one of whoever gave it the processor. The time is the borrower's
whoever runs meanwhile, so nothing is won by yielding in an epilogue. The functions that choose return the physical
address of the root to load; `calls.save_context` continues there.
"""

from exokernel.aegis import activation, bindings, capability, environment, information, network, trace
from exokernel.aegis.abi import *
from exokernel.aegis.counters import TraceCounter, tally
from exokernel.aegis.environment import NOBODY
from exokernel.aegis.trace_abi import TraceEntry
from exokernel.machine import cpu, paging, timer
from exokernel.metal import Ptr, count_trailing_zeros, i64, inline, rotate_left, u8, u32, u64

position: u64 = SLICES - 1  # of the slice that runs
borrower: u64 = NOBODY  # whose epilogue began in this slice
debtor: u64 = 0  # who pays for it
ready: u64 = 0
sleepers: u64 = 0  # bit n: environment n sleeps
earliest: u64 = FOREVER  # no sleeper's deadline is before this timestamp
resting: bool = False  # the timer waits for `earliest` instead of ending slices


# ---- who owns the slices


def give_slice(identifier: u64) -> bool:
    """Gives the first slice that nobody owns to an environment; False if there is none."""
    return claim_any(identifier) < SLICES


def claim_any(identifier: u64) -> u64:
    """The first slice that nobody owns, given to an environment; SLICES if there is none."""
    for i in range(SLICES):
        if information.page.slice_owners[i] == ENVIRONMENTS:
            change_owner(i, identifier)
            return i
    return SLICES


def change_owner(slice: u64, identifier: u64) -> None:
    """Makes an environment the owner of a slice, or ENVIRONMENTS: nobody."""
    global ready
    bit = u64(1) << slice
    before = u64(information.page.slice_owners[slice])
    if before != ENVIRONMENTS:
        environment.records[before].positions &= ~bit
    information.page.slice_owners[slice] = u8(identifier)
    information.page.slice_generations[slice] += 1
    ready &= ~bit
    if identifier != ENVIRONMENTS:
        environment.records[identifier].positions |= bit
        if information.page.environments[identifier].state == State.RUNNABLE:
            ready |= bit


@inline
def owns(slice: u64, identifier: u64) -> bool:
    return slice < SLICES and information.page.slice_owners[slice] == identifier


def slice_claim(slice: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `slice_claim`."""
    caller = environment.current().identifier
    if slice == ANY:
        claimed = claim_any(caller)
        return i64(claimed) if claimed < SLICES else i64(Error.NO_SLICES)
    if slice >= SLICES:
        return Error.BAD_ARGUMENT
    if information.page.slice_owners[slice] != ENVIRONMENTS:
        return Error.BUSY
    change_owner(slice, caller)
    return i64(slice)


def slice_release(slice: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `slice_release`."""
    if not owns(slice, environment.current().identifier):
        return Error.NOT_OWNER
    change_owner(slice, ENVIRONMENTS)
    return 0


def slice_give(slice: u64, receiver: u64, third: u64, fourth: u64) -> i64:
    """The call `slice_give`."""
    if not owns(slice, environment.current().identifier):
        return Error.NOT_OWNER
    if receiver >= ENVIRONMENTS or not environment.exists(receiver):
        return Error.NOT_RUNNABLE
    change_owner(slice, receiver)
    return 0


def slice_take(slot: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `slice_take`."""
    slice = capability.bound(slot, Kind.SLICE)
    if slice == capability.UNBOUND:
        return Error.NOT_PERMITTED
    change_owner(slice, environment.current().identifier)
    bindings.end(environment.current().identifier, slot)
    return 0


# ---- who runs


def initialize() -> None:
    information.page.slice_owners.fill(ENVIRONMENTS)


def start(identifier: u64) -> None:
    """Lets an environment run from now on."""
    global ready, resting
    if resting:
        resting = False
        timer.set_period(u32(information.page.slice_ticks))
    information.page.environments[identifier].state = State.RUNNABLE
    activation.begin(identifier)
    ready |= environment.records[identifier].positions


def remove(identifier: u64) -> None:
    """Takes the slices of an environment that ends, and its part in transfers."""
    global ready, sleepers, borrower
    trace.end(identifier)
    sleepers &= ~(u64(1) << identifier)
    while environment.records[identifier].positions != 0:
        change_owner(count_trailing_zeros(environment.records[identifier].positions), ENVIRONMENTS)
    callee = activation.forget(identifier)
    if callee != NOBODY:
        ready |= environment.records[callee].positions
    information.page.excess[identifier] = 0
    if borrower == identifier or debtor == identifier:
        borrower = NOBODY


@inline
def dispatch(identifier: u64) -> i64:
    """Continues one environment: the root to load."""
    activation.prepare(environment.records[identifier].kernel_page[0])
    environment.deliver_events(identifier)
    return i64(environment.records[identifier].root)


@inline
def position_after(current: u64, among: u64) -> u64:
    """The first position after `current`, in a circle, whose bit is set in `among`, which is not 0."""
    following = rotate_left(among, SLICES - 1 - current)  # bit 0: the position after this
    return (current + 1 + count_trailing_zeros(following)) % SLICES


def next_slice() -> i64:
    """Begins the next slice whose owner can run and owes none; without one the machine idles."""
    global position, borrower
    if borrower != NOBODY:
        borrower = NOBODY
        timer.set_period(u32(information.page.slice_ticks))  # the next owner gets a whole slice
    candidates = ready
    while candidates != 0:
        position = position_after(position, candidates)
        owner = u64(information.page.slice_owners[position])
        if information.page.excess[owner] != 0:
            information.page.excess[owner] -= 1
        else:
            runner = activation.end_of_chain(owner)
            if runner != NOBODY:
                return begin_slice(runner, runner == owner)
        candidates &= ~(u64(1) << position)
    return i64(environment.records[environment.IDLE].root)


def begin(first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The slice at `position` begins, and its owner does not simply continue. Returns the root to load."""
    owner = u64(information.page.slice_owners[position])
    runner = activation.end_of_chain(owner)
    return begin_slice(runner, runner == owner) if runner != NOBODY else next_slice()


@inline
def begin_slice(identifier: u64, own: bool) -> i64:
    """Continues an environment at the beginning of a slice, which may be its own."""
    record = environment.records[identifier]
    page = record.kernel_page[0]
    activation.prepare(page)
    if own and record.page[0].slice_start_entry != 0 and not activation.serves(page):
        enter_prologue(identifier)
    environment.deliver_events(identifier)
    return i64(record.root)


def enter_prologue(identifier: u64) -> None:
    """Makes an environment continue at its prologue, with all that it was in its save area."""
    record = environment.records[identifier]
    page = record.page[0]
    context = record.kernel_page[0].context
    page.saved.copy_from(context)
    context.ip = u64(page.slice_start_entry)
    context.flags = cpu.USER_FLAGS
    page.slice_start_entry = 0
    trace.upcall(identifier, TraceEntry.SLICE_START, context.ip)


@inline
def may_go_on(running: u64) -> bool:
    """At a tick: whether the current environment ends its slice itself."""
    if borrower == NOBODY and Ptr[EnvironmentPage](paging.OWN_PAGES)[0].slice_end_entry == 0:
        return False
    return lend(running)


def lend(running: u64) -> bool:
    """Lends the processor for an epilogue, or for one more tick of it, up to the limit."""
    global borrower, debtor
    if borrower == NOBODY:
        debtor = running
        owner = u64(information.page.slice_owners[position])
        if running < ENVIRONMENTS and environment.records[running].positions == 0 and owner < ENVIRONMENTS:
            debtor = owner  # who has no slices could never pay: its time is of whoever yielded to it
        if running == environment.IDLE or information.page.excess[debtor] >= EXCESS_LIMIT:
            return False
        borrower = running
        enter_epilogue(running)
        return True
    information.page.excess[debtor] += 1
    return running == borrower and information.page.excess[debtor] < EXCESS_LIMIT


def enter_epilogue(identifier: u64) -> None:
    """Makes an environment continue at its epilogue."""
    page = environment.records[identifier].page[0]
    entry = u64(page.slice_end_entry)
    page.slice_end_entry = 0
    trace.upcall(identifier, TraceEntry.SLICE_END, entry)
    environment.enter(identifier, page.slice_end_frame, entry, Cause(0))


@inline
def post(identifier: u64, event: u64) -> None:
    """An event comes for an environment, and wakes it."""
    page = environment.records[identifier].page[0]
    page.pending |= event
    trace.post(identifier, event, page)
    wake(identifier)


def wake(identifier: u64) -> None:
    """An event came for an environment: if it sleeps and has not masked it, its `wait` returns."""
    global sleepers
    identifier %= ENVIRONMENTS  # as it is; so no shift is too far, and no index
    bit = u64(1) << identifier
    if sleepers & bit == 0:
        activation.unpack(environment.records[identifier].kernel_page[0])  # so that a yield looks for events
        return
    events = environment.awaited_events(identifier)
    if events != 0:
        finish_wait(identifier, events)


def finish_wait(identifier: u64, events: u64) -> None:
    global sleepers
    sleepers &= ~(u64(1) << identifier)
    tally(TraceCounter.WAKES)
    activation.own_context(environment.records[identifier].kernel_page[0]).registers.rax = events
    start(identifier)


def wake_expired(now: u64) -> None:
    """Ends the sleep of all whose deadline has passed."""
    global earliest
    earliest = FOREVER
    for i in range(ENVIRONMENTS):
        if sleepers >> i & 1:
            deadline = environment.records[i].deadline
            if deadline <= now:
                finish_wait(i, 0)
            else:
                earliest = min(earliest, deadline)


def tick() -> i64:
    """A slice ends, and this is not the plain case. Returns the root to load."""
    running = environment.current().identifier
    if may_go_on(running):
        return dispatch(running)
    if ready == 0:
        rest()
    return next_slice()


def rest() -> None:
    """A whole slice went by in which nobody could run: the timer need not interrupt before the earliest deadline."""
    global resting
    resting = True
    left = earliest - min(cpu.read_timestamp(), earliest)
    timer.set_period(timer.ticks_for(left, information.page.timestamp_frequency))


def after_interrupt() -> i64:
    """Who continues after a device was served: whoever ran; if nobody did, the next slice begins."""
    running = environment.current().identifier
    if running == environment.IDLE:
        return next_slice()
    return dispatch(running)


def resume() -> i64:
    """Continues the current environment, to which another has yielded, or whom it called. Returns the root to load."""
    return run(environment.current().identifier)


def run(identifier: u64) -> i64:
    """Continues an environment, or whom it called. Returns the root to load."""
    runner = activation.end_of_chain(identifier)
    return dispatch(runner) if runner != NOBODY else next_slice()


def yield_to(target: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `yield_to` where it is not simply the other environment's turn; the caller's context is saved."""
    caller = environment.current()
    caller.context.registers.rax = 0
    target &= 0xFF
    if target == ANY_ENVIRONMENT:
        return next_slice()
    if activation.runnable[target] == 0:
        caller.context.registers.rax = u64(i64(Error.NOT_RUNNABLE))
        return dispatch(caller.identifier)
    return run(target)


def begin_service(identifier: u64) -> i64:
    """Continues an environment that was called asynchronously; its own slices run it too, even if it slept."""
    global ready
    ready |= environment.records[identifier].positions
    return dispatch(identifier)


def after_service(identifier: u64) -> i64:
    """Nobody waited for the current environment: it goes on with what it did before, or sleeps on."""
    global ready
    if sleepers >> identifier & 1 == 0:
        return dispatch(identifier)
    ready &= ~environment.records[identifier].positions
    return next_slice()


def wait(deadline: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `wait`; the caller's context is saved. Returns the root to load."""
    global ready, sleepers, earliest
    identifier = environment.current().identifier
    if network.held:
        network.listen()
    if activation.serves(environment.current()):
        environment.current().context.registers.rax = u64(i64(Error.BUSY))
        return dispatch(identifier)
    events = environment.awaited_events(identifier)
    if events != 0 or deadline <= cpu.read_timestamp():
        environment.current().context.registers.rax = events
        return dispatch(identifier)
    record = environment.records[identifier]
    record.deadline = deadline
    earliest = min(earliest, deadline)
    sleepers |= u64(1) << identifier
    ready &= ~record.positions
    activation.runnable[identifier] = 0
    information.page.environments[identifier].state = u32(State.SLEEPING)
    return next_slice()
