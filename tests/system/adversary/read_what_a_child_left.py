# SPDX-License-Identifier: MIT
"""A child writes a secret all over frames that it claimed and is ended; its creator claims what is free, in both kinds, and
looks.
"""

from family import SANDBOX, claim, claim_table, lives, make, prepare_sandbox, run, start

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import Array, Ptr, u64, volatile_load

FRAMES = 64
done: Array[u64, 4] = Array[u64, 4]()


def child() -> None:
    for i in range(FRAMES):
        aegis.tlb_insert(SANDBOX, claim(), Right.WRITE)
        for j in range(abi.PAGE_BYTES // 8):
            (Ptr[u64](SANDBOX * abi.PAGE_BYTES) + j)[0] = 0x5EC2E75EC2E7 + i
    done[0] = 1
    while True:
        aegis.yield_to(abi.ANY_ENVIRONMENT)


def main() -> u64:
    prepare_sandbox()
    number = make(0)
    start(0, u64(child), 0)
    run(number, done[:])
    got = u64(not lives(number)) + u64(aegis.environment_end(0, 0) != 0)
    for _ in range(FRAMES * 2):
        frame = claim()
        aegis.tlb_insert(SANDBOX, frame, Right.READ)
        for j in range(abi.PAGE_BYTES // 8):
            got += u64(volatile_load(Ptr[u64](SANDBOX * abi.PAGE_BYTES) + j) != 0)
        got += u64(aegis.tlb_insert(SANDBOX + 1, claim_table(), Right.READ) != Error.NOT_OWNER)
    return got
