# SPDX-License-Identifier: MIT
"""A child claims frames with their old contents; its creator makes nodes, environments and mappings of them."""

from family import SANDBOX, claim_parts, claim_table, lives, make, parts, prepare_sandbox, run, start

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import Array, u64

FRAMES = 16
done: Array[u64, 4] = Array[u64, 4]()
spare: Array[u64, FRAMES] = Array[u64, FRAMES]()


def child() -> None:
    for i in range(FRAMES):
        spare[i] = claim_table()
    done[0] = 1
    while True:
        aegis.yield_to(abi.ANY_ENVIRONMENT)


def main() -> u64:
    prepare_sandbox()
    number = make(0)
    start(0, u64(child), 0)
    run(number, done[:])
    got = u64(not lives(number))
    claim_parts()
    for i in range(FRAMES):
        got += u64(aegis.tlb_node(SANDBOX + 512, spare[i]) != Error.NOT_OWNER)
        got += u64(aegis.environment_node(0, SANDBOX + 512, spare[i]) != Error.NOT_OWNER)
        got += u64(aegis.environment_give(0, SANDBOX, spare[i], Right.READ) != Error.NOT_OWNER)
        got += u64(aegis.frame_release(spare[i]) != Error.NOT_OWNER)
        own = parts[i % abi.ENVIRONMENT_FRAMES]
        parts[i % abi.ENVIRONMENT_FRAMES] = spare[i]
        got += u64(aegis.environment_create(1, abi.ANY, parts) != Error.NOT_OWNER)
        parts[i % abi.ENVIRONMENT_FRAMES] = own
    return got + u64(aegis.environment_end(0, 0) != 0)
