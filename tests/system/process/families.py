# SPDX-License-Identifier: MIT
"""Everything once: spawn, arguments, fork, exec, exit, wait, kill, orphans, pages that stay shared. Prints what is not
as it should be, then `done`.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis, exceptions, files, heap, process, shared, vm
from exokernel.exos.arguments import BYTES, Arguments
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.exos.process import ProcessError
from exokernel.metal import Array, Ptr, Span, addr, asm, atomic_add, i64, u8, u64, volatile_load, volatile_store

PROGRAMS = ["counting.py", "chained.py", "lonely.py", "idle.py"]

BOARD = 0x2F000000 // abi.PAGE_BYTES  # a page that all see
PRIVATE = 0x2E000000 // abi.PAGE_BYTES
PAGES = 40

value: u64 = 1
none: Arguments = Arguments()


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted, "in", process.own_number())


def expect_end(what: str, number: i64, wanted: i64) -> None:
    found, status = process.wait(u64(number))
    expect(what, found, number)
    expect(what, status, wanted)


def board(place: u64) -> Ptr[u64]:
    return Ptr[u64](BOARD * abi.PAGE_BYTES) + place


def private(page: u64) -> Ptr[u64]:
    return Ptr[u64]((PRIVATE + page) * abi.PAGE_BYTES)


def spawns() -> None:
    given = Arguments()
    long = Array[u8, BYTES]()
    long.fill(7)
    expect("fits", i64(given.add(long[: BYTES - 2])), 1)
    expect("is full", i64(given.add(b"")), 0)
    expect_end("one long argument", process.spawn(b"counting", given), 1000 + BYTES - 2 + 7 * (BYTES - 2))
    other = Arguments()
    expect("too long", i64(other.add(long)), 0)
    expect("a", i64(other.add(b"\0\xff")), 1)
    expect("b", i64(other.add(b"")), 1)
    expect("c", i64(other.add(b"xyz")), 1)
    expect_end("three", process.spawn(b"counting", other), 3000 + 5 + 255 + 120 + 121 + 122)
    expect_end("none", process.spawn(b"counting", none), 0)
    expect("absent", process.spawn(b"absent", none), files.FileError.NOT_FOUND)
    expect("no child", wait_for(0), ProcessError.NO_CHILD)
    expect("no such child", wait_for(77777), ProcessError.NO_CHILD)
    expect("no such process", process.kill(77777), ProcessError.NO_PROCESS)
    bad = Arguments()
    bad.used = BYTES + 1
    expect("damaged arguments", process.spawn(b"counting", bad), Error.BAD_ARGUMENT)
    expect("empty", i64(len(bad.get(0))), 0)


def wait_for(number: u64) -> i64:
    found, _ = process.wait(number)
    return found


def poll(number: u64) -> i64:
    found, _ = process.try_wait(number)
    return found


def forks() -> None:
    """Neither sees what the other writes; a page of a SHARED region both see."""
    global value
    value = 1
    block = heap.allocate(5000)
    block[4999] = 1
    for page in range(PAGES):
        volatile_store(private(page), page)
    before = process.attach()
    number = process.fork()
    if number == 0:
        expect("parent", i64(process.parent()), before)
        value += 1
        block[4999] = 2
        for page in range(0, PAGES, 2):
            expect("as it was", i64(volatile_load(private(page))), i64(page))
            volatile_store(private(page), 1000 + page)
        atomic_add(board(0), 1)
        while volatile_load(board(0)) < 2:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
        for page in range(PAGES):
            expect("child", i64(volatile_load(private(page))), i64(page if page % 2 else 1000 + page))
        expect("child's heap", i64(block[4999]), 2)
        process.exit(i64(value))
    value = 100
    for page in range(0, PAGES, 3):
        volatile_store(private(page), 2000 + page)
    block[4999] = 3
    while volatile_load(board(0)) < 1:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    for page in range(PAGES):
        expect("parent", i64(volatile_load(private(page))), i64(page if page % 3 else 2000 + page))
    atomic_add(board(0), 1)
    expect_end("fork", number, 2)
    expect("value", i64(value), 100)
    expect("heap", i64(block[4999]), 3)
    heap.release(block)
    volatile_store(board(0), 0)


def chain(depth: u64) -> i64:
    """A child of a child of a child ...: how many there were."""
    global value
    value = depth
    if depth == 0:
        return 0
    number = process.fork()
    if number == 0:
        process.exit(chain(depth - 1) + 1)
    found, status = process.wait(u64(number))
    expect("chain", i64(value), i64(depth))
    return status if found == number else found


def tree(depth: u64) -> i64:
    """Two children at each of `depth` levels: how many leaves there were."""
    if depth == 0:
        return 1
    leaves: i64 = 0
    for _ in range(2):
        if process.fork() == 0:
            process.exit(tree(depth - 1))
    for _ in range(2):
        found, status = process.wait(0)
        expect("leaf", i64(found > 0), 1)
        leaves += status
    return leaves


def orphans() -> None:
    """Who ends first leaves its memory to who still sees it: child, grandchild, and the page that all share."""
    global value
    volatile_store(board(0), 0)
    value = 5
    number = process.fork()
    if number == 0:
        value = 6
        volatile_store(private(0), 66)
        if process.fork() == 0:
            if process.fork() == 0:
                while volatile_load(board(0)) < 1:
                    aegis.yield_to(abi.ANY_ENVIRONMENT)
                expect("inherited", i64(value), 6)
                expect("inherited page", i64(volatile_load(private(0))), 66)
                expect("and older", i64(volatile_load(private(1))), 1)
                value = 7
                volatile_store(private(1), 67)
                atomic_add(board(1), value)
                process.exit(0)
            process.exit(1)  # at once
        process.exit(2)
    expect_end("first", number, 2)
    volatile_store(board(0), 1)
    while volatile_load(board(1)) == 0:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    expect("told by an orphan", i64(volatile_load(board(1))), 7)
    volatile_store(board(0), 0)
    volatile_store(board(1), 0)


def killed() -> None:
    """In every state: running, asleep, ended; also a brother, and by a child."""
    running = process.fork()
    if running == 0:
        while True:
            pass
    asleep = process.fork()
    if asleep == 0:
        aegis.wait(abi.FOREVER)
        process.exit(1)
    expect("not yet", poll(0), ProcessError.NOT_YET)
    killer = process.fork()
    if killer == 0:
        expect("brother", process.kill(u64(running)), 0)
        expect("not mine", wait_for(u64(running)), ProcessError.NO_CHILD)
        process.exit(process.kill(u64(asleep)))
    expect_end("killer", killer, 0)
    expect("again", process.kill(u64(running)), 0)
    expect_end("running", running, process.KILLED)
    expect_end("asleep", asleep, process.KILLED)
    expect("forgotten", process.kill(u64(running)), ProcessError.NO_PROCESS)
    lost = process.fork()
    if lost == 0:
        process.kill(process.own_number())
    expect_end("itself", lost, process.KILLED)
    parent = process.fork()
    if parent == 0:
        value_before = volatile_load(private(2))
        child = process.fork()
        if child == 0:
            while volatile_load(board(0)) == 0:
                aegis.yield_to(abi.ANY_ENVIRONMENT)
            atomic_add(board(1), value_before + volatile_load(private(2)))
            process.exit(0)
        atomic_add(board(2), 1)
        while True:
            pass
    while volatile_load(board(2)) == 0:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    expect("parent", process.kill(u64(parent)), 0)
    expect_end("parent", parent, process.KILLED)
    volatile_store(board(0), 1)
    while volatile_load(board(1)) == 0:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    expect("its child lives on", i64(volatile_load(board(1))), 2 * i64(volatile_load(private(2))))
    for place in range(3):
        volatile_store(board(place), 0)


def crashed() -> None:
    number = process.fork()
    if number == 0:
        volatile_store(Ptr[u64](0x3FF00000), 1)
        process.exit(1)
    while not process.has_ended(process.at(u64(number)).where):
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    settle()  # its environment's number is free now, and another gets it
    another = process.fork()
    if another == 0:
        process.exit(3)
    expect_end("another", another, 3)
    expect_end("page fault", number, 128 + exceptions.PAGE)


def note(registers: Registers) -> u8:
    global value
    value += 1
    return Verdict.SKIP


def handlers() -> None:
    """A handler of exceptions is the child's too."""
    global value
    exceptions.handle(exceptions.UNDEFINED, note)
    value = 10
    number = process.fork()
    if number == 0:
        fail()
        fail()
        process.exit(i64(value))
    fail()
    expect_end("handled", number, 12)
    expect("handled here", i64(value), 11)


def fail() -> None:
    asm("ud2", "~{memory}")


def execs() -> None:
    """The same number, another program; the parent waits for the last of a chain."""
    given = Arguments()
    given.add(b"\x05")
    number = process.fork()
    if number == 0:
        volatile_store(private(5), 1)
        expect("exec of nothing", process.exec(b"absent", none), files.FileError.NOT_FOUND)
        process.exec(b"chained", given)
        process.exit(1)
    expect_end("chain of execs", number, number % 100000)
    older = process.fork()
    if older == 0:
        child = process.fork()
        if child == 0:
            process.exit(31)
        waiting = Arguments()
        waiting.add(b"\xff")
        process.exec(b"chained", waiting)
    expect_end("exec with a child", older, 31)


def apart() -> None:
    environment = process.spawn_apart(b"lonely", none)
    expect("apart", i64(environment > 0), 1)
    while not process.has_ended(process.where_is(u64(environment))):
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    expect("a family of its own", i64(aegis.system_page().environments[u64(environment)].status), 1)
    expect("no child", wait_for(0), ProcessError.NO_CHILD)


def hidden() -> None:
    """Guards stay guards, pages without rights keep what they hold, pages to read are copied too."""
    volatile_store(private(6), 600)
    volatile_store(private(7), 700)
    vm.protect(PRIVATE + 6, 1, Right.NONE)
    vm.protect(PRIVATE + 7, 1, Right.READ)
    number = process.fork()
    if number == 0:
        expect("hidden", i64(vm.rights_of(PRIVATE + 6)), Right.NONE)
        expect("show", vm.protect(PRIVATE + 6, 2, Right.WRITE), 0)
        expect("kept", i64(volatile_load(private(6))), 600)
        while volatile_load(board(0)) == 0:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
        expect("to read", i64(volatile_load(private(7))), 700)
        volatile_store(private(7), 702)
        atomic_add(board(0), 1)
        expect("hide again", vm.protect(PRIVATE + 3, 1, Right.NONE), 0)
        expect("unmap", vm.unmap(PRIVATE, PAGES), 0)
        process.exit(4)
    expect("show", vm.protect(PRIVATE + 6, 2, Right.WRITE), 0)
    volatile_store(private(7), 701)
    volatile_store(board(0), 1)
    expect_end("hidden", number, 4)
    expect("mine", i64(volatile_load(private(7))), 701)
    expect("kept", i64(volatile_load(private(6))), 600)
    volatile_store(board(0), 0)


def side_by_side() -> None:
    """A region that begins where the stack's pages, which are in none, end: each page is inherited once."""
    above: u64 = abi.STACK_TOP // abi.PAGE_BYTES
    expect("above the stack", vm.reserve(above, 2, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
    for i in range(2):
        volatile_store(Ptr[u64]((above + i) * abi.PAGE_BYTES), 80 + i)
    number = process.fork()
    if number == 0:
        volatile_store(Ptr[u64](above * abi.PAGE_BYTES), 1)
        copies: u64 = 0
        page = vm.next_page(0, vm.PAGES)
        while page != vm.NOTHING:
            copies += u64(vm.entry_of(page).copy)
            page = vm.next_page(page + 1, vm.PAGES)
        expect("copies", i64(vm.state.copies), i64(copies))
        expect("the second", i64(volatile_load(Ptr[u64]((above + 1) * abi.PAGE_BYTES))), 81)
        process.exit(5)
    expect_end("side by side", number, 5)
    expect("the first", i64(volatile_load(Ptr[u64](above * abi.PAGE_BYTES))), 80)
    expect("release", vm.release(above), 0)


def communication() -> None:
    """What was shared before a fork is shared after it: our own pages, and others'."""
    address = u64(shared.create(2))
    capability = shared.Capability()
    expect("offer", shared.offer(address, Right.WRITE, capability), 0)
    Ptr[u64](address)[0] = 1
    number = process.fork()
    if number == 0:
        expect("inherited", i64(Ptr[u64](address)[0]), 1)
        accepted = u64(shared.accept(Span[shared.Capability](addr(capability), 1), Right.WRITE))
        grandchild = process.fork()
        if grandchild == 0:
            atomic_add(Ptr[u64](accepted), 10)
            shared.end(accepted, 1)
            atomic_add(Ptr[u64](address), 100)
            process.exit(1)
        expect_end("grandchild", grandchild, 1)
        atomic_add(Ptr[u64](accepted), 1000)
        process.exit(2)
    expect_end("child", number, 2)
    expect("all of them", i64(Ptr[u64](address)[0]), 1111)
    shared.end(address, 2)


def family() -> None:
    spawns()
    forks()
    expect("chain", chain(12), 12)
    expect("tree", tree(4), 16)
    orphans()
    killed()
    crashed()
    handlers()
    execs()
    apart()
    hidden()
    side_by_side()
    communication()


def main() -> None:
    expect("board", vm.reserve(BOARD, 1, Right.WRITE, vm.Flag.SHARED, vm.refuse), 0)
    expect("board", vm.commit(BOARD, 1), 0)
    expect("pages", vm.reserve(PRIVATE, PAGES, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
    family()
    system = aegis.system_page()
    settle()
    free = system.frames_free
    family()
    settle()
    expect("frames", i64(system.frames_free), i64(free))
    for i in range(abi.SLICES):
        expect("slices", i64(system.slice_owners[i] == 0 or system.slice_owners[i] == abi.ENVIRONMENTS), 1)
    print("done")


def settle() -> None:
    """Wait until all that ended is taken apart, and what was lent is back."""
    while process.is_somebody_ending():
        aegis.frame_release(u64(aegis.frame_claim(abi.ANY)))
    vm.release_lent()
