# SPDX-License-Identifier: MIT
"""A child has power over itself: it shares its own pages with itself at the pages where they are, gives itself frames and
nodes, and protects what came of it.
"""

from family import (
    ALL,
    OWN_SLOTS,
    SANDBOX,
    claim,
    claim_mapped,
    ends_otherwise,
    environment_rights,
    make,
    name_of,
    prepare_sandbox,
    start,
)

from exokernel.aegis import abi
from exokernel.aegis.abi import Kind, Right
from exokernel.exos import aegis
from exokernel.metal import Array, Ptr, addr, u64, volatile_load, volatile_store

words: Array[u64, 4] = Array[u64, 4]()


def child() -> None:
    slot: u64 = OWN_SLOTS
    got = u64(aegis.bind(slot, words[1], words[2], words[3]) != 0)
    frame = claim_mapped(SANDBOX)
    volatile_store(Ptr[u64](SANDBOX * abi.PAGE_BYTES), 1)
    for i in range(1, 20):
        got += u64(aegis.environment_share(slot, SANDBOX, 1, slot + i, ALL) != 1)
        entry = aegis.table_entry(SANDBOX)
        got += u64(entry.own or not entry.bound or entry.slot != slot + i or entry.frame != frame)
        got += u64(aegis.frame_entry(frame).page != abi.NOWHERE)
        volatile_store(Ptr[u64](SANDBOX * abi.PAGE_BYTES), i)
    got += u64(aegis.environment_share(slot, SANDBOX, 1, slot + 19, ALL) >= 0)
    got += u64(aegis.tlb_protect(SANDBOX, 1, Right.READ) != 0)
    got += u64(aegis.environment_share(slot, SANDBOX, 1, slot + 20, Right.READ) != 1)
    got += u64(aegis.tlb_protect(SANDBOX, 1, Right.WRITE) >= 0)
    while aegis.frame_break(frame) != 0:
        pass
    got += u64(aegis.table_entry(SANDBOX).present)
    got += u64(aegis.environment_give(slot, SANDBOX, frame, Right.WRITE) != 0)
    got += u64(volatile_load(Ptr[u64](SANDBOX * abi.PAGE_BYTES)) != 19)
    got += u64(aegis.environment_node(slot, SANDBOX + 512, claim()) != 0)
    got += u64(aegis.tlb_insert(SANDBOX + 512, claim(), Right.WRITE) != 0)
    volatile_store(Ptr[u64]((SANDBOX + 512) * abi.PAGE_BYTES), 1)
    volatile_store(addr(words[0]), got)
    aegis.exit(3)


def main() -> u64:
    prepare_sandbox()
    number = make(0)
    words[1] = name_of(Kind.ENVIRONMENT, number)
    words[2] = environment_rights(number, Right.WRITE)
    words[3] = u64(aegis.capability_mint(words[1], words[2]))
    start(0, u64(child), 0)
    return ends_otherwise(number, 3) + volatile_load(addr(words[0]))
