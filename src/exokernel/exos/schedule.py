# SPDX-License-Identifier: MIT
"""Stride scheduling (Waldspurger and Weihl 1995; figure 3 of the exokernel paper) without privilege: an environment that
owns slices yields to clients that own none. The client with the least pass is next and moves on by its stride, which is
the longer the smaller its share."""

from exokernel.aegis.abi import ENVIRONMENTS, SLICES, State
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, i64, struct, u64

NOBODY = CLIENTS = ENVIRONMENTS
STRIDE = 720720 << 12  # of a share of 1: the strides of all shares up to 16 are whole numbers
PARTS = 8  # of a turn: who uses half of it moves on by half its stride, rounded to these, at least one


@struct
class Client:
    environment: u64
    generation: u64  # of the environment: its number may be used again
    stride: u64
    passed: u64  # its pass; of who sleeps, how far it is ahead of `Clients.passed`
    awake: u64


@struct
class Clients:
    passed: u64  # the pass of who was chosen last: nobody's is less
    count: u64  # zeroed there are none
    table: Array[Client, CLIENTS]  # of equals the first is chosen


def join(clients: Clients, environment: u64, share: u64) -> bool:
    """A client from now on, with `share` (1 to STRIDE) parts of the sum of all; False if there is no room."""
    return add(clients, environment, u64(aegis.system_page().environments[environment].generation), share)


def add(clients: Clients, environment: u64, generation: u64, share: u64) -> bool:
    if clients.count == CLIENTS or share == 0 or share > STRIDE:
        return False
    client = Client(environment, generation, STRIDE // share, clients.passed + STRIDE // share, 1)
    clients.table[clients.count].copy_from(client)
    clients.count += 1
    return True


def leave(clients: Clients, place: u64) -> None:
    """A client no longer; those behind it move up."""
    clients.count -= 1
    for i in range(place, clients.count):
        clients.table[i].copy_from(clients.table[i + 1])


def set_awake(clients: Clients, place: u64, awake: bool) -> None:
    """Who sleeps is not chosen, and neither loses nor gains by it."""
    client = clients.table[place]
    if client.awake != u64(awake):
        client.awake = u64(awake)
        client.passed += clients.passed if awake else 0 - clients.passed


def choose(clients: Clients) -> u64:
    """The place of the client whose turn it is, or NOBODY. Passes wrap around: their distance counts."""
    chosen: u64 = NOBODY
    for place in range(clients.count):
        client = clients.table[place]
        if client.awake and (chosen == NOBODY or i64(client.passed - clients.passed) < 0):
            chosen = place
            clients.passed = client.passed
    return chosen


def charge(client: Client, used: u64, turn: u64) -> None:
    """Moves a client on that used that much of a turn."""
    client.passed += client.stride * max((min(used, turn) * PARTS + turn // 2) // turn, 1) // PARTS


def serve(clients: Clients) -> None:
    """Gives all slices of this environment to the clients, until all have ended. While all sleep it sleeps too."""
    system = aegis.system_page()
    turn = max(system.slice_ticks * system.timestamp_frequency // 1_000_000_000, 1)
    while clients.count != 0:
        for above in range(clients.count, 0, -1):  # downwards, for some may leave
            client = clients.table[above - 1]
            status = system.environments[client.environment]
            set_awake(clients, above - 1, status.state == State.RUNNABLE)
            if status.generation != client.generation or not 0 < status.state < State.ENDED:
                leave(clients, above - 1)
        chosen = choose(clients)
        before = read_timestamp()
        if chosen == NOBODY:
            aegis.wait(before + turn)
        elif aegis.yield_to(clients.table[chosen].environment) == 0:
            charge(clients.table[chosen], read_timestamp() - before, turn)


def give_up(scheduler: u64) -> None:
    """Gives all slices of this environment to environment `scheduler`, from the end of this one on."""
    for position in range(SLICES):
        aegis.slice_give(position, scheduler)  # refused if it is another's
