# SPDX-License-Identifier: MIT
"""Ends environment 0, itself and all others by every slot; a child, which is given power over itself, ends itself by it."""

from family import OWN_SLOTS, bind_frame, claim, ends_otherwise, environment_rights, make, name_of, start

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Kind, Right
from exokernel.exos import aegis
from exokernel.metal import Array, addr, u64, volatile_load, volatile_store

words: Array[u64, 4] = Array[u64, 4]()


def child() -> None:
    got = u64(aegis.bind(OWN_SLOTS, words[1], words[2], words[3]) != 0)
    got += u64(aegis.environment_end(OWN_SLOTS, 0) != Error.BAD_ARGUMENT)
    got += u64(aegis.environment_start(OWN_SLOTS, 0x400000, 0) != Error.BUSY)
    volatile_store(addr(words[0]), got)
    aegis.exit(3)


def main() -> u64:
    bind_frame(0, claim(), Right.READ | Right.WRITE)
    got: u64 = 0
    for slot in range(abi.BINDINGS + 8):
        got += u64(aegis.environment_end(slot, 0) != Error.NOT_PERMITTED)
    for i in range(abi.ENVIRONMENTS):
        for mac in range(8):
            name = name_of(Kind.ENVIRONMENT, i)
            got += u64(aegis.bind(1, name, environment_rights(i, Right.WRITE), mac) != Error.FORGED)
    number = make(1)
    words[1] = name_of(Kind.ENVIRONMENT, number)
    words[2] = environment_rights(number, Right.WRITE)
    words[3] = u64(aegis.capability_mint(words[1], words[2]))
    start(1, u64(child), 0)
    return got + ends_otherwise(number, 3) + volatile_load(addr(words[0]))
