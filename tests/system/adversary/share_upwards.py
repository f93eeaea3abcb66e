# SPDX-License-Identifier: MIT
"""Shares a page that it may only read, with all rights; the child writes to it in every way."""

from family import ALL, OWN_SLOTS, SANDBOX, bind_frame, claim_mapped, ends_otherwise, make, prepare_sandbox, start

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import Array, Ptr, addr, u64, volatile_load, volatile_store

words: Array[u64, 4] = Array[u64, 4]()


def child() -> None:
    got = u64(aegis.tlb_protect(SANDBOX + 1, 1, Right.WRITE) != Error.NOT_OWNER)
    got += u64(aegis.tlb_insert_bound(SANDBOX + 1, OWN_SLOTS, Right.WRITE) != Error.NOT_PERMITTED)
    got += u64(aegis.tlb_insert_bound(SANDBOX + 1, OWN_SLOTS, Right.EXECUTE) != Error.NOT_PERMITTED)
    got += u64(aegis.tlb_insert_bound(SANDBOX + 2, OWN_SLOTS, Right.READ) != Error.IN_USE)
    frame = aegis.table_entry(SANDBOX + 1).frame
    got += u64(aegis.tlb_insert(SANDBOX + 1, frame, Right.WRITE) != Error.NOT_OWNER)
    got += u64(aegis.capability_mint(abi.Kind.FRAME << abi.NAME_INDEX_BITS | frame, 2) != Error.NOT_OWNER)
    volatile_store(addr(words[0]), got + 1)
    volatile_store(Ptr[u64]((SANDBOX + 1) * abi.PAGE_BYTES), 1)
    aegis.exit(0)


def main() -> u64:
    prepare_sandbox()
    frame = claim_mapped(SANDBOX)
    bind_frame(0, frame, Right.READ)
    aegis.tlb_insert_bound(SANDBOX + 1, 0, Right.READ)
    number = make(1)
    got = u64(aegis.environment_share(1, SANDBOX + 1, 1, OWN_SLOTS, ALL) != 1)
    start(1, u64(child), 0)
    got += ends_otherwise(number, 128 + 14)
    return got + volatile_load(addr(words[0])) - 1 + volatile_load(Ptr[u64](SANDBOX * abi.PAGE_BYTES))
