# SPDX-License-Identifier: MIT
"""Shares pages with a child, breaks, releases, remaps and gives them away while the child uses them; the child must only ever
fault.
"""

from family import ALL, OWN_SLOTS, SANDBOX, claim_mapped, ends_otherwise, lives, make, prepare_sandbox, start

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import Ptr, u64, volatile_store

TURNS = 20


def child() -> None:
    value: u64 = 0
    while True:
        value += 1
        volatile_store(Ptr[u64]((SANDBOX + 1) * abi.PAGE_BYTES), value)


def main() -> u64:
    prepare_sandbox()
    got: u64 = 0
    for turn in range(TURNS):
        frame = claim_mapped(SANDBOX + 1)
        number = make(0)
        got += u64(aegis.environment_share(0, SANDBOX + 1, 1, OWN_SLOTS, ALL) != 1)
        got += u64(start(0, u64(child), 0) != 0)
        aegis.yield_to(number)
        got += u64(not lives(number))
        got += u64(aegis.frame_break(frame) != 0)
        if turn % 3 == 0:
            got += u64(aegis.frame_release(frame) != 0)
        elif turn % 3 == 1:
            got += u64(aegis.frame_give(frame, 0) != 0)
        got += ends_otherwise(number, 128 + 14)
        got += u64(turn % 3 == 2 and aegis.tlb_insert(SANDBOX + 1, frame, Right.READ) != 0)
        aegis.unbind(0)
    return got
