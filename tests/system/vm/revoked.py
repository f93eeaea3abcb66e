# SPDX-License-Identifier: MIT
"""Environment 0 takes frames from environment 1, which works with a region that can lose them: first 1 gives back what is
asked for, then it is too late and loses them by force. Prints what is not as it should be, then `done`.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Authority, Error, Event, Kind, Right, State
from exokernel.exos import aegis, vm
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Ptr, addr, atomic_and, i64, u64, volatile_load, volatile_store

PAGES = 300
FIRST = 0x20000000 // abi.PAGE_BYTES
ROUNDS = 20
WANTED = 20

store: Array[u64, PAGES] = Array[u64, PAGES]()
model: Array[u64, PAGES] = Array[u64, PAGES]()


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(aegis.environment_page().identifier, what, "gave", got, "instead of", wanted)


def word(page: u64) -> Ptr[u64]:
    return Ptr[u64](page * abi.PAGE_BYTES)


def pager(address: u64, error: u64) -> bool:
    page = address // abi.PAGE_BYTES
    filled = vm.fill(page, Right.WRITE) if error & vm.PRESENT == 0 else i64(Error.BAD_ADDRESS)
    while filled == Error.NO_ROOM:  # an order is overdue: the kernel takes first
        aegis.yield_to(abi.ANY_ENVIRONMENT)
        filled = vm.fill(page, Right.WRITE)
    if filled != 0:
        return False
    word(page)[0] = store[page - FIRST]
    return vm.note_saved(page) == 0


def save(page: u64) -> bool:
    store[page - FIRST] = word(page)[0]
    return True


def access(seed: u64, written_through: bool) -> None:
    """Read a page and write to it. What can be lost by force is saved at once."""
    page = (seed >> 33) % PAGES
    expect("value", i64(volatile_load(word(FIRST + page))), i64(model[page]))
    model[page] = seed
    if written_through:
        store[page] = seed
    volatile_store(word(FIRST + page), seed)


def pin_the_rest() -> None:
    """What is not in the region must not be lost: image and stack. The page table sees to itself."""
    page = vm.next_page(0, FIRST)
    while page != vm.NOTHING:
        entry = vm.entry_of(page)
        if entry.kind == vm.Kind.OWN:
            expect("pin", aegis.frame_pin(entry.frame, 1), 0)
        page = vm.next_page(page + 1, FIRST)


def victim() -> None:
    expect("reserve", vm.reserve(FIRST, PAGES, Right.WRITE, vm.Flag.DROPPABLE, pager), 0)
    vm.find(FIRST)[0].save = save
    pin_the_rest()
    page = aegis.environment_page()
    seed: u64 = 7
    for _ in range(ROUNDS):
        for _ in range(2 * PAGES):
            seed = seed * 6364136223846793005 + 1442695040888963407
            access(seed, False)
        while True:
            atomic_and(addr(page.pending), ~u64(Event.REVOKE))
            if page.wanted[Authority.MEMORY] != 0:
                break
            aegis.wait(abi.FOREVER)
        expect("given", i64(vm.answer_revocation()), WANTED)
        while page.wanted[Authority.MEMORY] != 0:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
    expect("nothing was taken", i64(page.lost_count), 0)
    for i in range(PAGES):
        save_now(FIRST + i)
    while page.wanted[Authority.MEMORY] == 0 and page.lost_count == 0:  # asleep: now it may begin
        atomic_and(addr(page.pending), ~u64(Event.REVOKE))
        aegis.wait(abi.FOREVER)
    seen: u64 = 0
    noted: u64 = 0
    while seen < WANTED * ROUNDS:
        if page.lost_count != seen:
            seen = page.lost_count
            noted += vm.note_losses()
        seed = seed * 6364136223846793005 + 1442695040888963407
        access(seed, True)
    noted += vm.note_losses()
    expect("noted", i64(0 < noted <= page.lost_count), 1)  # others were met by page faults


def save_now(page: u64) -> None:
    if vm.entry_of(page).kind == vm.Kind.OWN:
        save(page)


def bind_authority() -> None:
    name = u64(Kind.AUTHORITY) << abi.NAME_INDEX_BITS | Authority.MEMORY
    mac = aegis.capability_mint(name, Right.WRITE)
    expect("authority", i64(mac >= 0), 1)
    expect("bind", aegis.bind(0, name, Right.WRITE, u64(mac)), 0)


def main() -> None:
    if aegis.environment_page().identifier == 1:
        victim()
        return
    bind_authority()
    second = aegis.system_page().timestamp_frequency
    orders: u64 = 0
    while aegis.system_page().environments[1].state != State.FREE:
        other = aegis.system_page().environments[1]
        if orders <= ROUNDS:
            time = second // 500 if orders < ROUNDS else u64(0)
            if other.state == State.SLEEPING and aegis.revoke(0, 1, WANTED, read_timestamp() + time) == 0:
                orders += 1
        elif other.frames > PAGES // 2 and aegis.revoke(0, 1, WANTED, read_timestamp()) == 0:
            orders += 1
        aegis.yield_to(1)
    expect("orders", i64(orders >= 2 * ROUNDS), 1)
    print("done")
