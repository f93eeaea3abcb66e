# SPDX-License-Identifier: MIT
"""A garbage collector's write barrier by page protection (Appel and Li 1991: protN, trap, unprot).

    ./exo run examples/write_barrier.py

Objects are made in a nursery; those that are alive move to the old pages, which are then write-protected. A program that
stores a reference into an old object faults once for that page: the handler notes the page and allows writing. So the
next collection finds every reference from old to young objects by looking at the noted pages alone, and code that only
reads, or writes young objects, pays nothing. `./exo bench vm` says what a fault costs (appel2).
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import vm
from exokernel.metal import Array, Ptr, struct, u64

OLD = 0x20000000 // abi.PAGE_BYTES
OLD_PAGES = 256
NURSERY = 0x24000000 // abi.PAGE_BYTES
NURSERY_PAGES = 64
ROUNDS = 20
STORES = 40  # into old objects, in each round


@struct
class Node:
    """An object: what it refers to (0: nothing), and who made it when."""

    refers: u64
    born: u64


OLD_NODES = OLD_PAGES * abi.PAGE_BYTES // 16
NURSERY_NODES = NURSERY_PAGES * abi.PAGE_BYTES // 16

old_used: u64 = 0
young_used: u64 = 0
noted: Array[u64, OLD_PAGES] = Array[u64, OLD_PAGES]()  # old pages written to since the last collection
noted_count: u64 = 0
faults: u64 = 0
seed: u64 = 1


def random(limit: u64) -> u64:
    global seed
    seed = seed * 6364136223846793005 + 1442695040888963407
    return (seed >> 33) % limit


def old(number: u64) -> Node:
    return (Ptr[Node](OLD * abi.PAGE_BYTES) + number)[0]


def young(number: u64) -> Node:
    return (Ptr[Node](NURSERY * abi.PAGE_BYTES) + number)[0]


def is_young(reference: u64) -> bool:
    return NURSERY * abi.PAGE_BYTES <= reference < (NURSERY + NURSERY_PAGES) * abi.PAGE_BYTES


def barrier(address: u64, error: u64) -> bool:
    """The first write to an old page since the last collection."""
    global noted_count, faults
    faults += 1
    page = address // abi.PAGE_BYTES
    noted[noted_count] = page
    noted_count += 1
    return vm.protect(page, 1, Right.WRITE) == 0


def make(born: u64) -> u64:
    """A young object: its address."""
    global young_used
    node = young(young_used)
    node.refers = 0
    node.born = born
    young_used += 1
    return NURSERY * abi.PAGE_BYTES + (young_used - 1) * 16


def promote(reference: u64) -> u64:
    """Moves a young object among the old ones: its new address."""
    global old_used
    source = Ptr[Node](reference)[0]
    target = old(old_used)
    target.refers = source.refers
    target.born = source.born
    old_used += 1
    return OLD * abi.PAGE_BYTES + (old_used - 1) * 16


def collect() -> u64:
    """Moves what the noted pages refer to; the nursery is empty then. How many objects were looked at."""
    global young_used, noted_count
    looked: u64 = 0
    first_new = old_used
    for i in range(noted_count):
        first = (noted[i] - OLD) * abi.PAGE_BYTES // 16
        for number in range(first, min(first + abi.PAGE_BYTES // 16, first_new)):
            looked += 1
            if is_young(old(number).refers):
                old(number).refers = promote(old(number).refers)
    young_used = 0
    noted_count = 0
    for page in range(OLD, OLD + OLD_PAGES, abi.BATCH):
        vm.protect(page, abi.BATCH, Right.READ)
    return looked


def main() -> u64:
    vm.reserve(OLD, OLD_PAGES, Right.WRITE, 0, barrier)
    vm.commit(OLD, OLD_PAGES)
    vm.reserve(NURSERY, NURSERY_PAGES, Right.WRITE, vm.Flag.DEMAND, vm.refuse)
    global old_used
    for number in range(OLD_NODES // 2):
        old(number).born = 0
    old_used = OLD_NODES // 2
    collect()
    stored: u64 = 0
    looked: u64 = 0
    for turn in range(ROUNDS):
        for i in range(NURSERY_NODES):
            reference = make(turn + 1)
            if i % (NURSERY_NODES // STORES) == 0:  # the few that live
                target = old(random(old_used))
                while target.refers != 0:
                    target = old(random(old_used))
                target.refers = reference
                stored += 1
        looked += collect()
    found: u64 = 0
    wrong: u64 = 0
    for number in range(old_used):
        reference = old(number).refers
        if reference != 0:
            found += 1
            wrong += u64(is_young(reference) or Ptr[Node](reference)[0].born == 0)
    print(f"{ROUNDS} collections, {ROUNDS * NURSERY_NODES} objects made, {stored} stored, {found} alive, {wrong} wrong")
    print(f"{faults} faults; looked at {looked * 100 // (ROUNDS * old_used)} % of the old objects")
    return wrong + u64(found != stored)
