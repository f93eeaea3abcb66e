# SPDX-License-Identifier: MIT
"""What `vm` offers, one thing after the other. Prints each expectation that is not met, then `done`."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis, exceptions, vm
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, Ptr, addr, asm, i64, u8, u64, volatile_load, volatile_store

FIRST = 0x20000000 // abi.PAGE_BYTES
COUNT = 600  # more than a table node and a batch hold
HUGE = 0x28000000 // abi.PAGE_BYTES
LARGE = 0x24000000 // abi.PAGE_BYTES

refused: u64 = 0  # faults that nobody resolved
calls: u64 = 0  # of `pager`
saved: Array[u64, 64] = Array[u64, 64]()  # what `save` wrote elsewhere


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted)


def skip(registers: Registers) -> u8:
    global refused
    refused += 1
    return Verdict.SKIP


def write(page: u64, value: u64) -> i64:
    """1 if it is refused."""
    before = volatile_load(addr(refused))
    volatile_store(Ptr[u64](page * abi.PAGE_BYTES), value)
    return i64(volatile_load(addr(refused)) - before)


def read(page: u64) -> i64:
    """The first word, or -1 if it is refused."""
    before = volatile_load(addr(refused))
    value = volatile_load(Ptr[u64](page * abi.PAGE_BYTES))
    return i64(value) if volatile_load(addr(refused)) == before else -1


def frames() -> i64:
    me = aegis.environment_page().identifier
    return i64(aegis.system_page().environments[me].frames)


def check_demand() -> None:
    expect("reserve", vm.reserve(FIRST, COUNT, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
    expect("overlap", vm.reserve(FIRST + COUNT - 1, 2, Right.WRITE, 0, vm.refuse), Error.IN_USE)
    expect("no pages", vm.reserve(FIRST, 0, Right.WRITE, 0, vm.refuse), Error.BAD_ARGUMENT)
    expect("beyond", vm.reserve(vm.PAGES - 1, 2, Right.WRITE, 0, vm.refuse), Error.BAD_ARGUMENT)
    expect("write and execute", vm.reserve(LARGE, 1, 6, 0, vm.refuse), Error.BAD_ARGUMENT)
    expect("not accessed", i64(vm.is_accessed(FIRST)), 0)
    expect("zero", read(FIRST), 0)
    expect("accessed", i64(vm.is_accessed(FIRST)), 1)
    expect("not dirty", i64(vm.is_dirty(FIRST)), 0)
    for i in range(COUNT):
        expect("write", write(FIRST + i, i + 1), 0)
    for i in range(COUNT):
        expect("value", read(FIRST + i), i64(i + 1))
        expect("dirty", i64(vm.is_dirty(FIRST + i)), 1)
    expect("clean", vm.clean(FIRST + 5), 0)
    expect("clean now", i64(vm.is_dirty(FIRST + 5)) + i64(vm.is_accessed(FIRST + 5)), 0)
    expect("after clean", read(FIRST + 5), 6)
    expect("clean nothing", vm.clean(FIRST + COUNT), Error.BAD_ARGUMENT)
    expect("outside", read(FIRST + COUNT), -1)
    expect("the kernel's", read(0x80000), -1)


def check_rights() -> None:
    expect("one", vm.protect(FIRST + 3, 1, Right.READ), 0)
    expect("rights", i64(vm.rights_of(FIRST + 3)), Right.READ)
    expect("refused", write(FIRST + 3, 0), 1)
    expect("still", read(FIRST + 3), 4)
    expect("range", vm.protect(FIRST + 10, 500, Right.READ), 0)
    expect("before the range", write(FIRST + 9, 10), 0)
    expect("first", write(FIRST + 10, 0), 1)
    expect("last", write(FIRST + 509, 0), 1)
    expect("behind", write(FIRST + 510, 511), 0)
    expect("hide", vm.protect(FIRST + 20, 10, Right.NONE), 0)
    expect("hidden", read(FIRST + 20), -1)
    expect("hidden right", i64(vm.rights_of(FIRST + 20)), Right.NONE)
    expect("reveal", vm.protect(FIRST, COUNT, Right.WRITE), 0)
    for i in range(COUNT):
        expect("the same", read(FIRST + i), i64(i + 1))
        expect("writable", write(FIRST + i, i + 1), 0)
    expect("write and execute", vm.protect(FIRST, 1, 6), Error.BAD_ARGUMENT)
    expect("no such right", vm.protect(FIRST, 2, 9), Error.BAD_ARGUMENT)
    expect("beyond", vm.protect(vm.PAGES, 1, Right.READ), Error.BAD_ARGUMENT)
    expect("beyond", vm.protect(vm.PAGES - 1, 2, Right.READ), Error.BAD_ARGUMENT)
    expect("unmap", vm.unmap(FIRST + 100, 100), 0)
    expect("zero again", read(FIRST + 150), 0)
    expect("untouched", vm.protect(FIRST + 160, 2, Right.READ), 0)
    expect("untouched is zero", read(FIRST + 160), 0)
    expect("untouched is protected", write(FIRST + 161, 1), 1)


def check_release(before: i64) -> None:
    """All frames come back but those of the page table itself."""
    expect("release", vm.release(FIRST), 0)
    expect("twice", vm.release(FIRST), Error.BAD_ARGUMENT)
    expect("gone", read(FIRST), -1)
    kept = frames() - before
    expect("reserve again", vm.reserve(FIRST, COUNT, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
    for i in range(COUNT):
        write(FIRST + i, 1)
    expect("release again", vm.release(FIRST), 0)
    expect("no more kept", frames() - before, kept)
    if kept > 8:
        print("the page table keeps", kept)


def check_huge() -> None:
    """Reserving costs the same for any size; guards at both ends."""
    frames_before = frames()
    expect("guard", vm.reserve(HUGE - 1, 1, Right.NONE, 0, vm.refuse), 0)
    expect("huge", vm.reserve(HUGE, 50000, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
    expect("guard", vm.reserve(HUGE + 50000, 1, Right.NONE, 0, vm.refuse), 0)
    expect("nothing claimed", frames() - frames_before, 0)
    expect("in the guard", write(HUGE - 1, 1), 1)
    expect("in the guard", write(HUGE + 50000, 1), 1)
    expect("somewhere", write(HUGE + 40000, 7), 0)
    expect("somewhere else", read(HUGE + 123), 0)
    expect("whole", vm.protect(HUGE, 50000, Right.READ), 0)
    expect("value", read(HUGE + 40000), 7)
    expect("touched", write(HUGE + 40000, 8), 1)
    expect("not touched", write(HUGE + 40001, 8), 1)
    expect("release", vm.release(HUGE), 0)
    expect("guards", vm.release(HUGE - 1) + vm.release(HUGE + 50000), 0)


def check_large() -> None:
    expect("region", vm.reserve(LARGE, 2 * abi.LARGE_PAGES, Right.WRITE, 0, vm.refuse), 0)
    expect("not a multiple", vm.map_large(LARGE + 1, Right.WRITE), Error.BAD_ARGUMENT)
    expect("large", vm.map_large(LARGE, Right.WRITE), 0)
    expect("large twice", vm.map_large(LARGE, Right.WRITE), Error.IN_USE)
    expect("write", write(LARGE, 1) + write(LARGE + 511, 512) + write(LARGE + 100, 101), 0)
    expect("not behind", write(LARGE + 512, 1), 1)
    expect("protect a part", vm.protect(LARGE + 100, 10, Right.READ), 0)
    expect("value", read(LARGE + 100), 101)
    expect("protected", write(LARGE + 100, 1), 1)
    expect("the rest not", write(LARGE + 99, 100), 0)
    expect("unmap a part", vm.unmap(LARGE, 50), 0)
    expect("gone", read(LARGE), -1)
    expect("last", read(LARGE + 511), 512)
    expect("unmap", vm.unmap(LARGE, abi.LARGE_PAGES), 0)
    expect("large again", vm.map_large(LARGE, Right.READ), 0)
    expect("zero", read(LARGE + 511), 0)
    expect("read-only", write(LARGE, 1), 1)
    expect("in the middle", vm.unmap(LARGE + 7, 1), 0)
    expect("a hole", read(LARGE + 7), -1)
    expect("beside it", read(LARGE + 8), 0)
    expect("release", vm.release(LARGE), 0)


def pager(address: u64, error: u64) -> bool:
    """Brings back what `save` wrote elsewhere."""
    global calls
    calls += 1
    page = address // abi.PAGE_BYTES
    if error & vm.PRESENT or vm.fill(page, Right.WRITE) != 0:
        return False
    Ptr[u64](page * abi.PAGE_BYTES)[0] = saved[page - FIRST]
    vm.note_saved(page)
    return True


def save(page: u64) -> bool:
    saved[page - FIRST] = Ptr[u64](page * abi.PAGE_BYTES)[0]
    return True


def chosen() -> u64:
    """A policy: always this one."""
    return FIRST + 7


def count(page: u64, end: u64) -> i64:
    """Pages with frames."""
    found: i64 = 0
    while page < end:
        found += i64(aegis.table_entry(page).present)
        page += 1
    return found


def check_giving_back() -> None:
    expect("region", vm.reserve(FIRST, 64, Right.WRITE, vm.Flag.DROPPABLE, pager), 0)
    vm.find(FIRST)[0].save = save
    for i in range(64):
        saved[i] = 1000 + i
    for i in range(64):
        expect("brought", read(FIRST + i), i64(1000 + i))
    for i in range(32):
        write(FIRST + i, 2000 + i)
    expect("clean ones first", i64(vm.give_back(32)), 32)
    expect("the dirty ones are left", count(FIRST, FIRST + 32) * 100 + count(FIRST + 32, FIRST + 64), 3200)
    vm.state.policy = chosen
    expect("the chosen one", i64(vm.give_back(1)), 1)
    expect("saved", i64(saved[7]), 2007)
    expect("no other", i64(vm.give_back(1)), 0)
    vm.state.policy = vm.oldest
    expect("all others", i64(vm.give_back(100)), 31)
    expect("none is left", count(FIRST, FIRST + 64), 0)
    for i in range(64):
        expect("brought back", read(FIRST + i), i64(2000 + i) if i < 32 else i64(1000 + i))
    check_frame_that_came_back()
    expect("release", vm.release(FIRST), 0)
    expect("zeros", vm.reserve(FIRST, 64, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
    for i in range(64):
        read(FIRST + i)
    write(FIRST, 5)
    write(FIRST + 1, 5)
    vm.clean(FIRST + 1)
    expect("zeros go, what was written stays", i64(vm.give_back(100)), 62)
    expect("written", read(FIRST), 5)
    expect("cleaned, but written", read(FIRST + 1), 5)
    expect("zeros", read(FIRST + 2), 0)
    expect("release", vm.release(FIRST), 0)


def check_frame_that_came_back() -> None:
    """A page whose frame was taken looked as if it had it still, when it was claimed again for another page."""
    frame = vm.entry_of(FIRST + 3).frame
    expect("taken", aegis.frame_release(frame), 0)
    expect("claimed again", aegis.frame_claim(frame), i64(frame))
    expect("for another page", vm.map_as(vm.Kind.OWN, HUGE, frame, 1, Right.WRITE), 0)
    write(HUGE, 99)
    expect("brought back", read(FIRST + 3), i64(saved[3]))
    expect("not touched", read(HUGE), 99)
    expect("unmap", vm.unmap(HUGE, 1), 0)


def logger(address: u64, error: u64) -> bool:
    """Touches fresh memory of another region, in the handler."""
    Ptr[u64](HUGE * abi.PAGE_BYTES)[0] += 1
    return vm.protect(address // abi.PAGE_BYTES, 1, Right.WRITE) == 0


def check_nesting() -> None:
    expect("region", vm.reserve(FIRST, 4, Right.WRITE, vm.Flag.DEMAND | vm.Flag.NESTING, logger), 0)
    expect("log", vm.reserve(HUGE, 4, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
    for i in range(4):
        write(FIRST + i, 1)
    expect("protect", vm.protect(FIRST, 4, Right.READ), 0)
    for i in range(4):
        expect("written", write(FIRST + i, 2), 0)
    expect("log", read(HUGE), 4)
    expect("release", vm.release(FIRST) + vm.release(HUGE), 0)


def count_breakpoint(registers: Registers) -> u8:
    """A full handler that touches fresh memory."""
    Ptr[u64](HUGE * abi.PAGE_BYTES)[0] += 1
    return Verdict.RESUME


def check_nesting_in_full() -> None:
    exceptions.handle(exceptions.BREAKPOINT, count_breakpoint)
    for _ in range(3):
        expect("log", vm.reserve(HUGE, 4, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
        asm("int3", "~{memory}")
        asm("int3", "~{memory}")
        expect("log", read(HUGE), 2)
        expect("release", vm.release(HUGE), 0)


def check_copy_alone() -> None:
    """Copy-on-write of pages that nobody shares: made writable where they are."""
    expect("region", vm.reserve(FIRST, 200, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
    for i in range(200):
        write(FIRST + i, i)
    owned = frames()
    page = vm.next_page(FIRST, FIRST + 200)
    runs: i64 = 0
    while page != vm.NOTHING:
        length = vm.run(page, FIRST + 200)
        expect("mark", vm.make_copy_on_write(page, length), 0)
        page = vm.next_page(page + length, FIRST + 200)
        runs += 1
    expect("runs", runs, 2)
    expect("protected", i64(aegis.table_entry(FIRST + 150).writable), 0)
    expect("meant to be writable", i64(vm.rights_of(FIRST + 150)), Right.WRITE)
    expect("not to be written now", vm.protect(FIRST + 2, 1, Right.READ), 0)
    expect("refused", write(FIRST + 2, 9), 1)
    expect("written again", vm.protect(FIRST + 2, 1, Right.WRITE), 0)
    for i in range(200):
        expect("value", read(FIRST + i), i64(i))
        expect("write", write(FIRST + i, i + 1), 0)
        expect("value", read(FIRST + i), i64(i + 1))
    expect("no frame more", frames() - owned, 0)
    expect("no copies left", i64(vm.state.copies), 0)
    expect("release", vm.release(FIRST), 0)


def main() -> None:
    exceptions.handle(exceptions.PAGE, skip)
    expect("start", vm.start(), 0)
    expect("start twice", vm.start(), 0)
    before = frames()
    check_demand()
    check_rights()
    check_release(before)
    check_huge()
    check_large()
    check_giving_back()
    check_nesting()
    check_nesting_in_full()
    check_copy_alone()
    print("done")
