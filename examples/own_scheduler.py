# SPDX-License-Identifier: MIT
"""Your own scheduler, in an application without any privilege. This one holds a lottery (Waldspurger and Weihl 1994): at the
beginning of every slice a ticket is drawn, and the environment that holds it gets the slice.

    ./exo run examples/own_scheduler.py{,,,}

The first one is the scheduler, the others are its clients: environment n holds 3 to the power of n - 1 tickets. All have
the same work to do; see who is done first. For another policy change `draw`: the earliest deadline, the shortest job,
whoever waited longest, or simply `exos.schedule`, which is as fair as a lottery in the long run and much fairer in a
short one.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import State
from exokernel.exos import aegis, console, schedule
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, u64

SCHEDULER = 0
WORK = 20_000_000  # sums of a client

tickets: Array[u64, abi.ENVIRONMENTS] = Array[u64, abi.ENVIRONMENTS]()
turns: Array[u64, abi.ENVIRONMENTS] = Array[u64, abi.ENVIRONMENTS]()
seed: u64 = 0


def state_of(environment: u64) -> u64:
    return u64(aegis.system_page().environments[environment].state)


def random(below: u64) -> u64:
    """A number from 0 to `below` - 1 (xorshift, Marsaglia 2003)."""
    global seed
    seed ^= seed << 13
    seed ^= seed >> 7
    seed ^= seed << 17
    return seed % below


def draw() -> u64:
    """The policy: who gets the slice that begins now; SCHEDULER if nobody can run."""
    total: u64 = 0
    for client in range(1, abi.ENVIRONMENTS):
        if state_of(client) == State.RUNNABLE:
            total += tickets[client]
    if total == 0:
        return SCHEDULER
    winner = random(total)
    for client in range(1, abi.ENVIRONMENTS):
        if state_of(client) == State.RUNNABLE:
            if winner < tickets[client]:
                return client
            winner -= tickets[client]
    return SCHEDULER


def clients() -> u64:
    """How many are left."""
    count: u64 = 0
    for client in range(1, abi.ENVIRONMENTS):
        count += u64(state_of(client) != State.FREE)
    return count


def serve() -> None:
    """The mechanism: each slice is yielded to the winner; it comes back when the next slice begins."""
    system = aegis.system_page()
    slice_length = system.slice_ticks * system.timestamp_frequency // 1_000_000_000
    while clients() != 0:
        winner = draw()
        if winner == SCHEDULER:
            aegis.wait(read_timestamp() + slice_length)  # all clients sleep: so do we
        elif aegis.yield_to(winner) == 0:
            turns[winner] += 1


def run_scheduler() -> None:
    global seed
    seed = read_timestamp() | 1
    held: u64 = 1
    for client in range(1, abi.ENVIRONMENTS):
        if state_of(client) != State.FREE:
            tickets[client] = held
            held *= 3
    serve()
    for client in range(1, abi.ENVIRONMENTS):
        if tickets[client] != 0:
            print(f"environment {client} had {tickets[client]} tickets and {turns[client]} slices")


def run_client(number: u64) -> None:
    schedule.give_up(SCHEDULER)  # from here on it runs when the scheduler says so
    total: u64 = 0
    for i in range(WORK):
        total = total * 31 + i // (total % 64 + 1)
    print(f"environment {number} is done: {total:x}")
    console.flush()


def main() -> None:
    number = aegis.environment_page().identifier
    if number == SCHEDULER:
        run_scheduler()
    else:
        run_client(number)
