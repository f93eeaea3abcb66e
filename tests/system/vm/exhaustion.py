# SPDX-License-Identifier: MIT
"""A machine with little memory: running out is an error value, what was there stays right, and a region can be larger
than memory when its function makes room. Prints what is not as it should be, then `done`.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis, exceptions, vm
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, Ptr, addr, i64, u8, u64, volatile_load, volatile_store

PAGES = 4000  # twice as many as the machine has
FIRST = 0x20000000 // abi.PAGE_BYTES
OTHER = 0x28000000 // abi.PAGE_BYTES
ACCESSES = 20000

refused: u64 = 0
asked: u64 = 0  # how often frames were wanted for the paged region
store: Array[u64, PAGES] = Array[u64, PAGES]()  # what `save` keeps of a page
model: Array[u64, PAGES] = Array[u64, PAGES]()


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted)


def skip(registers: Registers) -> u8:
    global refused
    refused += 1
    return Verdict.SKIP


def word(page: u64) -> Ptr[u64]:
    return Ptr[u64](page * abi.PAGE_BYTES)


def touch_all() -> u64:
    """Write to pages until one is refused; how many were written."""
    before = volatile_load(addr(refused))
    for i in range(PAGES):
        volatile_store(word(FIRST + i), i)
        if volatile_load(addr(refused)) != before:
            return i
    return PAGES


def check_demand() -> None:
    expect("reserve", vm.reserve(FIRST, PAGES, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
    expect("commit", vm.commit(FIRST, PAGES), Error.NO_FRAMES)
    expect("all are used", i64(aegis.system_page().frames_free), 0)
    expect("fill", vm.fill(OTHER, Right.WRITE), Error.NO_FRAMES)
    expect("large", vm.map_large(OTHER, Right.WRITE), Error.NO_FRAMES)
    expect("the zeros go", i64(vm.give_back(10)), 10)
    expect("unmap", vm.unmap(FIRST, PAGES), 0)
    free = aegis.system_page().frames_free
    written = touch_all()
    expect("some", i64(1000 < written < PAGES), 1)
    for i in range(written):
        expect("kept", i64(word(FIRST + i)[0]), i64(i))
    expect("nothing that may go", i64(vm.give_back(1)), 0)
    expect("unmap", vm.unmap(FIRST, PAGES), 0)
    expect("frames are back", i64(aegis.system_page().frames_free), i64(free))
    expect("again", i64(touch_all()), i64(written))
    expect("release", vm.release(FIRST), 0)


def pager(address: u64, error: u64) -> bool:
    """Brings back a page; makes room when there is none."""
    global asked
    page = address // abi.PAGE_BYTES
    if error & vm.PRESENT:
        return False
    result = vm.fill(page, Right.WRITE)
    if result == Error.NO_FRAMES:
        asked += 1
        if vm.give_back(16) == 0:
            return False
        result = vm.fill(page, Right.WRITE)
    word(page)[0] = store[page - FIRST]
    return result == 0 and vm.note_saved(page) == 0


def save(page: u64) -> bool:
    store[page - FIRST] = word(page)[0]
    return True


def check_paging() -> None:
    expect("reserve", vm.reserve(FIRST, PAGES, Right.WRITE, vm.Flag.DROPPABLE, pager), 0)
    vm.find(FIRST)[0].save = save
    seed: u64 = 1
    for i in range(ACCESSES):
        seed = seed * 6364136223846793005 + 1442695040888963407
        page = (seed >> 33) % PAGES
        expect("paged", i64(volatile_load(word(FIRST + page))), i64(model[page]))
        if seed >> 63:
            model[page] = i + 1
            volatile_store(word(FIRST + page), i + 1)
    expect("often", i64(asked > 100), 1)
    expect("release", vm.release(FIRST), 0)


def check_nothing_left() -> None:
    """Without one free frame every call says so, and nothing else happens."""
    expect("reserve", vm.reserve(FIRST, 100, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
    while aegis.frame_claim(abi.ANY) >= 0:
        pass
    before = volatile_load(addr(refused))
    volatile_store(word(FIRST), 1)
    expect("touch", i64(volatile_load(addr(refused)) - before), 1)
    expect("large", vm.map_large(OTHER, Right.WRITE), Error.NO_FRAMES)
    expect("public", vm.map_as(vm.Kind.PUBLIC, OTHER, aegis.system_page().bundle_frame, 1, Right.READ), Error.NO_FRAMES)
    expect("release", vm.release(FIRST), 0)


def main() -> None:
    exceptions.handle(exceptions.PAGE, skip)
    check_demand()
    check_paging()
    check_nothing_left()
    print("done")
