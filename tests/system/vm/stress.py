# SPDX-License-Identifier: MIT
"""Random operations of `vm` on one region, each compared with a model that knows what a page holds and allows. Every
environment has its own sequence. Prints what differs, then `done`.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis, exceptions, vm
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, Ptr, addr, i64, u8, u64, volatile_load, volatile_store

STEPS = 12000
FIRST = 0x20000000 // abi.PAGE_BYTES
WINDOW = 1100  # two blocks for large pages, and some more

values: Array[u64, WINDOW] = Array[u64, WINDOW]()  # the first word of each page
rights: Array[u8, WINDOW] = Array[u8, WINDOW]()
whole: u64 = Right.WRITE  # what the region allows
refused: u64 = 0
seed: u64 = 0
step: u64 = 0
wrong: u64 = 0


def random(limit: u64) -> u64:
    """Below `limit`; Knuth's linear congruence."""
    global seed
    seed = seed * 6364136223846793005 + 1442695040888963407
    return (seed >> 33) % limit


def expect(what: str, page: u64, got: u64, wanted: u64) -> None:
    global wrong
    if got != wanted:
        wrong += 1
        if wrong < 20:
            print(f"step {step} page {page}: {what} gave {got} instead of {wanted}")


def skip(registers: Registers) -> u8:
    global refused
    refused += 1
    return Verdict.SKIP


def address(page: u64) -> Ptr[u64]:
    return Ptr[u64]((FIRST + page) * abi.PAGE_BYTES)


def write(page: u64) -> None:
    before = volatile_load(addr(refused))
    value = random(1 << 30)
    volatile_store(address(page), value)
    happened = volatile_load(addr(refused)) == before
    expect("writing", page, u64(happened), u64(rights[page] == Right.WRITE))
    if happened:
        values[page] = value
        if aegis.table_entry(FIRST + page).raw != vm.VACANT:
            expect("dirty", page, u64(vm.is_dirty(FIRST + page)), 1)


def read(page: u64) -> None:
    before = volatile_load(addr(refused))
    value = volatile_load(address(page))
    happened = volatile_load(addr(refused)) == before
    expect("reading", page, u64(happened), u64(rights[page] != Right.NONE))
    if happened:
        expect("value", page, value, values[page])


def protect(first: u64, count: u64, allowed: u64) -> None:
    global whole
    expect("protect", first, u64(vm.protect(FIRST + first, count, allowed)), 0)
    for page in range(first, first + count):
        rights[page] = u8(allowed)
    if count == WINDOW:
        whole = allowed


def forget(first: u64, count: u64, allowed: u64) -> None:
    for page in range(first, first + count):
        values[page] = 0
        rights[page] = u8(allowed)


def large(block: u64) -> None:
    first = block * abi.LARGE_PAGES
    expect("unmap", first, u64(vm.unmap(FIRST + first, abi.LARGE_PAGES)), 0)
    forget(first, abi.LARGE_PAGES, whole)
    error = vm.map_large(FIRST + first, Right.WRITE)
    if error == 0:
        forget(first, abi.LARGE_PAGES, Right.WRITE)
    else:
        expect("large", first, u64(error), u64(i64(Error.NO_FRAMES)))


def copy_on_write(first: u64, end: u64) -> None:
    page = vm.next_page(FIRST + first, FIRST + end)
    while page != vm.NOTHING:
        length = vm.run(page, FIRST + end)
        expect("copy on write", page, u64(vm.make_copy_on_write(page, length)), 0)
        page = vm.next_page(page + length, FIRST + end)


def one_step() -> None:
    page = random(WINDOW)
    count = 1 + random(min(WINDOW - page, 1 + random(150)))
    allowed = random(3)
    match random(20):
        case 0 | 1 | 2 | 3 | 4:
            write(page)
        case 5 | 6 | 7 | 8:
            read(page)
        case 9 | 10:
            protect(page, 1, allowed)
        case 11 | 12:
            protect(page, count, allowed)
        case 13:
            expect("unmap", page, u64(vm.unmap(FIRST + page, count)), 0)
            forget(page, count, whole)
        case 14:
            expect("commit", page, u64(vm.commit(FIRST + page, count)), 0)
        case 15:
            vm.clean(FIRST + page)
        case 16:
            copy_on_write(page, page + count)
        case 17:
            vm.give_back(random(30))
        case 18:
            for i in range(page, page + count):
                write(i)
        case _:
            if random(20) == 0:
                large(random(2))
            elif random(20) == 0:
                protect(0, WINDOW, allowed)


def frames() -> u64:
    return u64(aegis.system_page().environments[aegis.environment_page().identifier].frames)


def main() -> None:
    global seed, step, whole
    seed = aegis.environment_page().identifier * 1000 + 17
    exceptions.handle(exceptions.PAGE, skip)
    expect("start", 0, u64(vm.start()), 0)
    for turn in range(2):
        whole = Right.WRITE
        forget(0, WINDOW, whole)
        expect("reserve", 0, u64(vm.reserve(FIRST, WINDOW, whole, vm.Flag.DEMAND, vm.refuse)), 0)
        for i in range(STEPS):
            step = i
            one_step()
        for page in range(WINDOW):
            read(page)
            expect(
                "rights",
                page,
                vm.rights_of(FIRST + page) if vm.entry_of(FIRST + page).raw else u64(rights[page]),
                rights[page],
            )
        before = frames()
        expect("release", 0, u64(vm.release(FIRST)), 0)
        expect("copies", 0, vm.state.copies, 0)
        expect("entries", 0, vm.next_page(FIRST, FIRST + WINDOW), vm.NOTHING)
        expect("frames came back", 0, u64(frames() < before), 1)
    print("done" if wrong == 0 else "wrong", aegis.environment_page().identifier, frames() < 120)
