# SPDX-License-Identifier: MIT
"""Visible revocation, and what becomes of those who do not give back. Environment 0 has the authorities and asks; the
others behave as their number says: 1 cooperates, 2 is slow, 3 is silent, 4 is malicious. Each asked one holds HELD
frames; 0 wants half of them back and says what is left, to whom it was told and what was lost.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Authority, Error, Event, Kind, Right
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, addr, asm, atomic_and, i64, naked, u32, u64, volatile_load

HELD = 200
WANTED = 100
FIRST = 0x10000000 // abi.PAGE_BYTES
frames: Array[u64, HELD] = Array[u64, HELD]()
told: u64 = 0
COOPERATIVE, SLOW, SILENT, MALICIOUS = 1, 2, 3, 4


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted)


def milliseconds(count: u64) -> u64:
    return aegis.system_page().timestamp_frequency // 1000 * count


def owned(number: u64) -> u64:
    return u64(volatile_load(addr(aegis.system_page().environments[number].frames)))


# ---- those who are asked


def hold() -> None:
    """Takes HELD frames and maps them. What we cannot run without is guaranteed, and as many more as may be."""
    vital: u64 = 0
    for frame in range(aegis.system_page().frames):
        entry = aegis.frame_entry(frame)
        page = u64(entry.page)
        ours = entry.owner == aegis.environment_page().identifier and entry.page != abi.NOWHERE
        if ours and page >= abi.STACK_TOP // abi.PAGE_BYTES - 4:
            expect("guarantee vital ones", aegis.frame_guarantee(frame, 1), 0)
            vital += 1
    aegis.tlb_node(FIRST, u64(aegis.frame_claim(abi.ANY)))
    for i in range(HELD):
        frames[i] = u64(aegis.frame_claim(abi.ANY))
        expect("map", aegis.tlb_insert(FIRST + i, frames[i], Right.WRITE), 0)
    for i in range(abi.GUARANTEED_FRAMES - vital):
        expect("guarantee", aegis.frame_guarantee(frames[HELD - 1 - i], 1), 0)
    expect("one too many", aegis.frame_guarantee(frames[0], 1), Error.NO_ROOM)


def asked() -> u64:
    """Waits until we are asked for frames: how many."""
    while aegis.environment_page().wanted[Authority.MEMORY] == 0:
        aegis.wait(abi.FOREVER)
        atomic_and(addr(aegis.environment_page().pending), ~u64(Event.REVOKE))
    return aegis.environment_page().wanted[Authority.MEMORY]


def give_back(count: u64) -> None:
    for i in range(count):
        expect("release", aegis.frame_release(frames[i]), 0)


def losses(number: u64) -> None:
    """Waits until nothing is wanted any more, then says what is in the repossession vector, and that it is true."""
    page = aegis.environment_page()
    while page.wanted[Authority.MEMORY] != 0:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    for i in range(min(page.lost_count, abi.LOST)):
        name = page.lost[i]
        entry = aegis.frame_entry(name & 0xFFFFFFFF)
        if name >> abi.NAME_INDEX_BITS != Kind.FRAME or entry.owner == number:
            print("a loss that is none", name)
    for i in range(HELD - 4, HELD):
        expect("guaranteed", i64(aegis.frame_entry(frames[i]).owner), i64(number))
        expect("and mapped", i64(aegis.table_entry(FIRST + i).present), 1)
    mapped: u64 = 0
    for i in range(HELD):
        mapped += u64(aegis.table_entry(FIRST + i).present)
        if aegis.table_entry(FIRST + i).present:
            expect("mapping of an own frame", i64(aegis.frame_entry(frames[i]).owner), i64(number))
    told_of_it = page.pending & Event.REPOSSESSED != 0
    print(f"{number}: lost {page.lost_count}, told {told_of_it}, mapped {mapped}")


@naked
def never_returns() -> None:
    """An upcall for events that keeps the processor."""
    asm("""
        inc qword ptr [{told}]
    2:
        jmp 2b
    """)


def be_malicious() -> None:
    """Gives back what is not its own, takes new frames for each given up, maps anew what is taken."""
    for frame in range(0, aegis.system_page().frames, 7):
        if aegis.frame_entry(frame).owner != MALICIOUS:
            expect("release another's", aegis.frame_release(frame), Error.NOT_OWNER)
    for i in range(HELD):
        if aegis.environment_page().lost_count >= WANTED:
            break
        aegis.frame_release(frames[i])
        aegis.frame_claim(abi.ANY)
        aegis.tlb_insert(FIRST + i, frames[i], Right.WRITE)
    aegis.environment_page().wanted[Authority.MEMORY] = 0  # only our copy of it
    aegis.environment_page().lost_count = 0xFFFFFFFFFFFFFFF0
    aegis.environment_page().event_entry = u32(u64(never_returns))
    while True:
        aegis.wait(read_timestamp() + milliseconds(1))


def be_asked(number: u64) -> None:
    hold()
    if number == SILENT:
        aegis.environment_page().masked = 0xFFFFFFFFFFFFFFFF
        while aegis.environment_page().wanted[Authority.MEMORY] == 0:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
        losses(number)
    elif number == MALICIOUS:
        asked()
        be_malicious()
    else:
        count = asked()
        if number == SLOW:
            give_back(count // 4)
            while aegis.environment_page().lost_count == 0:
                aegis.yield_to(abi.ANY_ENVIRONMENT)
        else:
            give_back(count)
        losses(number)
    aegis.environment_page().application[0] = 1
    while True:
        aegis.yield_to(abi.ANY_ENVIRONMENT)


# ---- who asks


def bind_authority(slot: u64, what: u64) -> None:
    name = u64(Kind.AUTHORITY) << abi.NAME_INDEX_BITS | what
    mac = aegis.capability_mint(name, Right.WRITE)
    expect("bind", aegis.bind(slot, name, Right.WRITE, u64(mac)), 0)


def ask(number: u64) -> None:
    before = owned(number)
    deadline = read_timestamp() + milliseconds(20)
    expect("revoke", aegis.revoke(0, number, WANTED, deadline), 0)
    expect("revoke twice", aegis.revoke(0, number, 1, deadline), Error.BUSY)
    while read_timestamp() < deadline + milliseconds(20):
        aegis.yield_to(number)
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print(f"{number}: gave {before - owned(number)}")
    expect("an order that is over", aegis.revoke(0, number, 0, 0), 0)


def slices_of(number: u64) -> u64:
    count: u64 = 0
    for owner in aegis.system_page().slice_owners:
        count += u64(owner == number)
    return count


def take_slices(number: u64) -> None:
    """All but the last go."""
    for _ in range(5):
        aegis.slice_give(u64(aegis.slice_claim(abi.ANY)), number)
    expect("revoke slices", aegis.revoke(1, number, 100, 0), 0)
    deadline = read_timestamp() + milliseconds(20)
    while slices_of(number) > 1 and read_timestamp() < deadline:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print(f"{number}: slices {slices_of(number)}")


def main() -> None:
    number = aegis.environment_page().identifier
    if number != 0:
        expect("no authority", aegis.capability_mint(u64(Kind.AUTHORITY) << abi.NAME_INDEX_BITS, 2), Error.NOT_OWNER)
        expect("revoke without", aegis.revoke(0, 0, 1, 0), Error.NOT_PERMITTED)
        be_asked(number)
    bind_authority(0, Authority.MEMORY)
    bind_authority(1, Authority.PROCESSOR)
    expect("of nobody", aegis.revoke(0, 63, 1, 0), Error.NO_ENVIRONMENT)
    for asked_one in range(1, 5):
        while owned(asked_one) < HELD:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
    aegis.wait(read_timestamp() + milliseconds(20))
    for asked_one in range(1, 5):
        ask(asked_one)
    take_slices(SILENT)
    take_slices(MALICIOUS)
    print("done")
