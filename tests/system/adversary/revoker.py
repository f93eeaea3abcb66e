# SPDX-License-Identifier: MIT
"""Environment 0 among those that must give memory and slices back: asks each for ORDERED frames and for all slices but
one, and looks whether they are gone in the end, by will or by force; its own memory must stay as it left it.

Prints `steady rounds N wrong N others N`, as applications/steady.py does.
"""

from family import ORDERED, SLICES, later, name_of

from exokernel.aegis import abi
from exokernel.aegis.abi import Authority, Error, Kind, Right, State
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, addr, u8, u64, volatile_load, volatile_store

WORDS = 4096
ANSWER = 150  # milliseconds that they have
memory: Array[u64, WORDS] = Array[u64, WORDS]()
goals: Array[u64, abi.ENVIRONMENTS] = Array[u64, abi.ENVIRONMENTS]()
reached: Array[u8, abi.ENVIRONMENTS] = Array[u8, abi.ENVIRONMENTS]()


def others() -> u64:
    count: u64 = 0
    for i in range(1, abi.ENVIRONMENTS):
        count += u64(aegis.system_page().environments[i].state != State.FREE)
    return count


def slices_of(number: u64) -> u64:
    count: u64 = 0
    for owner in aegis.system_page().slice_owners:
        count += u64(owner == number)
    return count


def ready(count: u64) -> bool:
    """Whether all have hoarded, or ended."""
    for i in range(1, count + 1):
        status = aegis.system_page().environments[i]
        if status.state != State.FREE and slices_of(i) < SLICES:
            return False
    return True


def bind_authority(authority: u64) -> u64:
    name = name_of(Kind.AUTHORITY, authority)
    mac = u64(aegis.capability_mint(name, Right.WRITE))
    return u64(aegis.bind(authority, name, Right.WRITE, mac) != 0)


def order(count: u64) -> u64:
    """What went wrong."""
    wrong: u64 = 0
    for i in range(1, count + 1):
        goals[i] = u64(aegis.system_page().environments[i].frames) - ORDERED
        if aegis.system_page().environments[i].state != State.FREE:
            wrong += u64(aegis.revoke(Authority.PROCESSOR, i, abi.SLICES, later(ANSWER)) != 0)
            wrong += u64(aegis.revoke(Authority.MEMORY, i, ORDERED, later(ANSWER)) != 0)
    return wrong


def look(count: u64) -> None:
    """Notes who has come down to what it may keep: the order against it is then over, and it is free to get more."""
    for i in range(1, count + 1):
        status = aegis.system_page().environments[i]
        ended = status.state == State.FREE or status.state == State.ENDED
        if reached[i] == 0 and slices_of(i) <= 1:
            reached[i] = u8(ended or status.frames <= goals[i] or aegis.revoke(0, i, 0, 0) != Error.BUSY)


def check(count: u64) -> u64:
    """How many never did."""
    wrong: u64 = 0
    for i in range(1, count + 1):
        if reached[i] == 0:
            wrong += 1
            status = aegis.system_page().environments[i]
            print("environment", i, "has", status.frames, "of", goals[i], "slices", slices_of(i))
    return wrong


def main() -> None:
    count = others()
    wrong = bind_authority(Authority.MEMORY) + bind_authority(Authority.PROCESSOR)
    until = later(2000)
    while not ready(count) and read_timestamp() < until:
        aegis.wait(later(1))
    for i in range(WORDS):
        volatile_store(addr(memory[i]), i * 0x9E3779B97F4A7C15)
    wrong += order(count)
    rounds: u64 = 0
    forced = later(ANSWER + 1000)  # the attackers live longer
    until = later(15_000)
    while others() != 0 and read_timestamp() < until:
        rounds += 1
        aegis.wait(later(1))
        if read_timestamp() < forced:
            look(count)
        for i in range(WORDS):
            wrong += u64(volatile_load(addr(memory[i])) != i * 0x9E3779B97F4A7C15)
    wrong += check(count)
    print("steady rounds", rounds, "wrong", wrong, "others", others())
