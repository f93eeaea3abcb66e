# SPDX-License-Identifier: MIT
"""The processor: a vector of time slices, each with an owner, and the choice of who runs next.

The timer ends a slice; the next slice whose owner can run begins. `ready` keeps one bit per slice whose owner can run,
so the choice is a rotation and a count of zeros, however many slices there are. An environment sleeps only by `wait`.
The functions that choose return the physical address of the root to load; `calls.save_context` continues there.
"""

from exokernel.aegis import environment, information
from exokernel.aegis.abi import ANY_ENVIRONMENT, ENVIRONMENTS, FOREVER, SLICES, Error, State
from exokernel.machine import cpu, interrupts, timer
from exokernel.metal import count_trailing_zeros, i64, inline, rotate_left, u8, u32, u64

position: u64 = SLICES - 1  # of the slice that runs
ready: u64 = 0
sleepers: u64 = 0  # bit n: environment n sleeps
earliest: u64 = FOREVER  # no sleeper's deadline is before this timestamp
resting: bool = False  # the timer waits for `earliest` instead of ending slices


def give_slice(identifier: u64) -> bool:
    """Gives the first slice that nobody owns to an environment; False if there is none."""
    for i in range(SLICES):
        if information.page.slice_owners[i] == ENVIRONMENTS:
            information.page.slice_owners[i] = u8(identifier)
            environment.records[identifier].positions |= u64(1) << i
            return True
    return False


def initialize() -> None:
    information.page.slice_owners.fill(ENVIRONMENTS)


def start(identifier: u64) -> None:
    """Lets an environment run from now on."""
    global ready, resting
    if resting:
        resting = False
        timer.set_period(u32(information.page.slice_ticks))
    information.page.environments[identifier].state = State.RUNNABLE
    ready |= environment.records[identifier].positions


def remove(identifier: u64) -> None:
    """Takes the slices of an environment that ends."""
    global ready, sleepers
    record = environment.records[identifier]
    ready &= ~record.positions
    sleepers &= ~(u64(1) << identifier)
    for i in range(SLICES):
        if information.page.slice_owners[i] == identifier:
            information.page.slice_owners[i] = ENVIRONMENTS
    record.positions = 0


@inline
def dispatch(identifier: u64) -> i64:
    """Continues one environment: the root to load."""
    environment.deliver_events(identifier)
    return i64(environment.records[identifier].root)


@inline
def position_after(current: u64, among: u64) -> u64:
    """The first position after `current`, in a circle, whose bit is set in `among`, which is not 0."""
    following = rotate_left(among, SLICES - 1 - current)  # bit 0: the position after this
    return (current + 1 + count_trailing_zeros(following)) % SLICES


def next_slice() -> i64:
    """Begins the next slice whose owner can run; without one the machine idles. Returns the root to load."""
    global position
    if ready == 0:
        return i64(environment.records[environment.IDLE].root)
    position = position_after(position, ready)
    return dispatch(u64(information.page.slice_owners[position]))


def wake(identifier: u64) -> None:
    """An event came for an environment: if it sleeps and has not masked it, its `wait` returns."""
    global sleepers
    bit = u64(1) << identifier
    if sleepers & bit == 0:
        return
    events = environment.awaited_events(identifier)
    if events != 0:
        finish_wait(identifier, events)


def finish_wait(identifier: u64, events: u64) -> None:
    global sleepers
    sleepers &= ~(u64(1) << identifier)
    environment.records[identifier].kernel_page[0].context.registers.rax = events
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


def tick(first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The timer: a slice ends. Returns the root to load."""
    interrupts.end()
    if sleepers != 0:
        now = cpu.read_timestamp()
        if earliest <= now:
            wake_expired(now)
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
    """Who continues after a device was served: whoever ran; if nobody did, the next slice begins. Returns the root to
    load.
    """
    running = environment.current().identifier
    if running == environment.IDLE:
        return next_slice()
    return dispatch(running)


def yield_to(target: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `yield_to`; the caller's context is saved. Returns the root to load."""
    caller = environment.current()
    caller.context.registers.rax = 0
    if target == ANY_ENVIRONMENT:
        return next_slice()
    if target >= ENVIRONMENTS or information.page.environments[target].state != State.RUNNABLE:
        caller.context.registers.rax = u64(i64(Error.NOT_RUNNABLE))
        return dispatch(caller.identifier)
    return dispatch(target)


def wait(deadline: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `wait`; the caller's context is saved. Returns the root to load."""
    global ready, sleepers, earliest
    identifier = environment.current().identifier
    events = environment.awaited_events(identifier)
    if events != 0 or deadline <= cpu.read_timestamp():
        environment.current().context.registers.rax = events
        return dispatch(identifier)
    record = environment.records[identifier]
    record.deadline = deadline
    earliest = min(earliest, deadline)
    sleepers |= u64(1) << identifier
    ready &= ~record.positions
    information.page.environments[identifier].state = u32(State.SLEEPING)
    return next_slice()
