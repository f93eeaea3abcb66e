# SPDX-License-Identifier: MIT
"""Asked for frames, gives them to a child, which gives them back at once."""

from family import HOARD, await_order, hoard, hoarded, later, make, prepare_sandbox, start

from exokernel.aegis.abi import Error
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, addr, u64, volatile_load, volatile_store

REVOKED = True
words: Array[u64, 4] = Array[u64, 4]()  # [0]: that many of `hoarded` are the child's; [1]: whose it shall make them


def give_back() -> None:
    """The child."""
    while True:
        for i in range(volatile_load(addr(words[0]))):
            if aegis.frame_give(hoarded[i], words[1]) == 0:
                volatile_store(addr(words[2]), words[2] + 1)
        aegis.yield_to(words[1])


def main() -> u64:
    prepare_sandbox()
    words[1] = aegis.environment_page().identifier
    child = make(0)
    start(0, u64(give_back), 0)
    hoard()
    await_order()
    got = u64(aegis.environment_page().wanted[0] == 0)
    for i in range(HOARD // 4):
        got += u64(aegis.frame_give(hoarded[i], child) != 0)
    volatile_store(addr(words[0]), HOARD // 4)
    until = later(10)
    while read_timestamp() < until:
        aegis.yield_to(child)
    got += u64(aegis.environment_page().wanted[0] == 0)  # the order stands, so nothing can come back
    until = later(1500)
    while read_timestamp() < until:
        aegis.yield_to(child)
    return got + u64(aegis.environment_end(0, 0) == Error.BAD_ARGUMENT)
