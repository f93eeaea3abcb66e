# SPDX-License-Identifier: MIT
"""Virtual memory, measured from inside. Every line printed is `row number ...`: instructions, by the time-stamp counter
under `-icount shift=0`, less what the loop costs without the work. exhibit.py says what the rows mean.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import measure, vm
from exokernel.metal import Array, Ptr, i64, noinline, u64, volatile_load, volatile_store

SAMPLES = 31
PAGES = 100
ROUNDS = 10
FIRST = 0x20000000 // abi.PAGE_BYTES
OTHER = FIRST + 1024

samples: Array[u64, SAMPLES] = Array[u64, SAMPLES]()
order: Array[u64, PAGES] = Array[u64, PAGES]()
nothing: u64 = 0  # what measuring costs
left: u64 = 0  # faults until the page is unprotected
previous: u64 = 0


def report(row: str, divisor: u64) -> None:
    measure.row()
    print(row, end="")
    for sample in samples:
        print("", (sample - nothing) * 100 // divisor, end="")
    print()


def expect(what: str, condition: bool) -> None:
    if not condition:
        print("failed:", what)


def touch(page: u64) -> None:
    volatile_store(Ptr[u64](page * abi.PAGE_BYTES), 1)


def shuffle() -> None:
    """A random permutation of the pages but the first, which is touched first."""
    seed: u64 = 12345
    for i in range(PAGES):
        order[i] = FIRST + i
    for i in range(PAGES - 1, 1, -1):
        seed = seed * 6364136223846793005 + 1442695040888963407
        j = 1 + (seed >> 33) % u64(i)
        order[u64(i)], order[j] = order[j], order[u64(i)]


# The handlers, functions of the region.


def refault(address: u64, error: u64) -> bool:
    """Returns without a change until it was called often enough."""
    global left
    left -= 1
    if left == 0:
        vm.protect(address // abi.PAGE_BYTES, 1, Right.WRITE)
    return True


def exchange(address: u64, error: u64) -> bool:
    """appel1: protects the page touched before, unprotects this one."""
    global previous
    page = address // abi.PAGE_BYTES
    vm.protect(previous, 1, Right.READ)
    previous = page
    return vm.protect(page, 1, Right.WRITE) == 0


def unprotect(address: u64, error: u64) -> bool:
    """appel2."""
    return vm.protect(address // abi.PAGE_BYTES, 1, Right.WRITE) == 0


# The rows.


@noinline
def measure_nothing() -> None:
    global nothing
    for i in range(SAMPLES):
        before = measure.begin()
        samples[i] = measure.end() - before
    nothing = samples[0]
    for sample in samples:
        nothing = min(nothing, sample)


@noinline
def measure_dirty() -> None:
    count: u64 = 0
    for i in range(SAMPLES):
        before = measure.begin()
        for page in order:
            count += u64(vm.is_dirty(page))
        samples[i] = measure.end() - before
    expect("all are dirty", count == SAMPLES * PAGES)


@noinline
def measure_prot1() -> None:
    for i in range(SAMPLES):
        before = measure.begin()
        for page in order:
            vm.protect(page, 1, Right.READ)
        samples[i] = measure.end() - before


@noinline
def measure_range(rights: u64) -> None:
    """All pages in one call, from the other state."""
    for i in range(SAMPLES):
        vm.protect(FIRST, PAGES, Right.READ + Right.WRITE - rights)
        before = measure.begin()
        error = vm.protect(FIRST, PAGES, rights)
        samples[i] = measure.end() - before
        expect("range", error == 0 and vm.aegis.table_entry(FIRST + 99).writable == (rights == Right.WRITE))


@noinline
def measure_trap() -> None:
    global left
    for i in range(SAMPLES):
        vm.protect(FIRST, 1, Right.READ)
        left = PAGES
        before = measure.begin()
        touch(FIRST)
        samples[i] = measure.end() - before


@noinline
def measure_appel1() -> None:
    global previous
    vm.protect(FIRST, PAGES, Right.READ)
    previous = FIRST
    vm.protect(FIRST, 1, Right.WRITE)
    for i in range(SAMPLES):
        before = measure.begin()
        for page in order[1:]:
            touch(page)
        touch(FIRST)
        samples[i] = measure.end() - before
    expect("one is writable", vm.protect(FIRST, PAGES, Right.WRITE) == 0 and previous == FIRST)


@noinline
def measure_appel2() -> None:
    for i in range(SAMPLES):
        before = measure.begin()
        vm.protect(FIRST, PAGES, Right.READ)
        for page in order:
            touch(page)
        samples[i] = measure.end() - before


@noinline
def measure_demand() -> None:
    """Fresh pages of a region in which others were touched already, so that tables are there."""
    for i in range(SAMPLES):
        before = measure.begin()
        for j in range(PAGES):
            volatile_load(Ptr[u64]((OTHER + i * PAGES + j) * abi.PAGE_BYTES))
        samples[i] = measure.end() - before
        vm.unmap(OTHER + i * PAGES, PAGES)


@noinline
def measure_claim() -> None:
    """The part of the above that is `frame_claim`."""
    for i in range(SAMPLES):
        before = measure.begin()
        frame = vm.aegis.frame_claim(abi.ANY)
        samples[i] = measure.end() - before
        vm.aegis.frame_release(u64(frame))


def reserve(first: u64, count: u64, function: vm.Handler) -> None:
    error: i64 = vm.reserve(first, count, Right.WRITE, vm.Flag.DEMAND, function)
    expect("reserve", error == 0)


def restart(function: vm.Handler) -> None:
    """The hundred pages again, all touched."""
    if vm.find(FIRST):
        vm.release(FIRST)
    reserve(FIRST, PAGES, function)
    for i in range(PAGES):
        touch(FIRST + i)


def main() -> None:
    measure.print_frequency()
    measure_nothing()
    shuffle()
    restart(vm.refuse)
    measure_dirty()
    report("dirty", PAGES)
    measure_prot1()
    report("prot1", PAGES)
    measure_range(Right.READ)
    report("prot100", 1)
    measure_range(Right.WRITE)
    report("unprot100", 1)
    restart(refault)
    measure_trap()
    report("trap", PAGES)
    restart(exchange)
    measure_appel1()
    report("appel1", PAGES)
    restart(unprotect)
    measure_appel2()
    report("appel2", PAGES)
    reserve(OTHER, 4096, vm.refuse)
    touch(OTHER + 4095)
    touch(OTHER + 3000)
    measure_demand()
    report("demand-zero", PAGES)
    measure_claim()
    report("frame-claim", 1)
