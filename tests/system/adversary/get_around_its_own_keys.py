# SPDX-License-Identifier: MIT
"""Denies itself a page by a protection key, then gives vector registers up and ends a child that had some, neither of which
may change what the keys deny.
"""

from family import SANDBOX, claim, lives, make, prepare_sandbox, run, start

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import Array, Ptr, addr, asm, u32, u64, volatile_load, volatile_store

ENDS = (14,)
KEY = 1
words: Array[u64, 4] = Array[u64, 4]()


def use_vectors() -> None:
    asm("movq xmm5, rax", "~{xmm5}")


def child() -> None:
    aegis.floating_point(1)
    use_vectors()
    volatile_store(addr(words[0]), 1)
    while True:
        aegis.yield_to(abi.ANY_ENVIRONMENT)


def main() -> u64:
    prepare_sandbox()
    number = make(0)
    start(0, u64(child), 0)
    run(number, words[:])
    if aegis.protection_keys(1) == Error.NO_KEYS:
        volatile_load(Ptr[u64](0))  # as if it had been denied
    aegis.tlb_insert(SANDBOX, claim(), Right.WRITE | KEY << abi.KEY_SHIFT)
    volatile_store(Ptr[u64](SANDBOX * abi.PAGE_BYTES), 1)
    asm("wrpkru", "{eax},{ecx},{edx},~{memory}", u32(3 << 2 * KEY), u32(0), u32(0))
    got = u64(not lives(number)) + u64(aegis.environment_end(0, 0) != 0)
    aegis.floating_point(1)
    use_vectors()
    aegis.floating_point(0)
    return 100 + got + volatile_load(Ptr[u64](SANDBOX * abi.PAGE_BYTES))
