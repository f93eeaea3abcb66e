# SPDX-License-Identifier: MIT
"""Two environments share a frame through a capability. Environment 0 mints, 1 takes the three words out of 0's message
ring: a frame that 0 gave it. 1 binds them, and tries forged, stale and stronger ones. Prints what is not as it should
be, then `done`.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Kind, Right, State
from exokernel.exos import aegis, exceptions
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Ptr, addr, i64, u8, u64, volatile_load, volatile_store

MAIL = 0x10000000 // abi.PAGE_BYTES  # the frame given to environment 1, in both
SHARED = MAIL + 1
STEP = SHARED * abi.PAGE_BYTES  # the word that both see
faults: u64 = 0


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted)


def count_fault(registers: Registers) -> u8:
    global faults
    faults += 1
    return Verdict.SKIP


def claim_mapped(page: u64) -> u64:
    frame = u64(aegis.frame_claim(abi.ANY))
    expect("map", aegis.tlb_insert(page, frame, Right.WRITE), 0)
    return frame


def await_step(wanted: u64) -> None:
    while volatile_load(Ptr[u64](STEP)) != wanted:
        aegis.yield_to(abi.ANY_ENVIRONMENT)


def share() -> None:
    mail = claim_mapped(MAIL)
    frame = claim_mapped(SHARED)
    name = u64(Kind.FRAME) << abi.NAME_INDEX_BITS | frame
    rights = u64(aegis.frame_entry(frame).generation) << 32 | Right.READ | Right.WRITE
    mac = aegis.capability_mint(name, rights)
    expect("mint", i64(mac >= 0), 1)
    expect("mint another's", aegis.capability_mint(u64(Kind.FRAME) << 56, 1), Error.NOT_OWNER)
    expect("mint of the future", aegis.capability_mint(name, rights + (u64(1) << 32)), Error.STALE)
    expect("mint unknown rights", aegis.capability_mint(name, rights | 8), Error.BAD_ARGUMENT)
    letter = Ptr[u64](MAIL * abi.PAGE_BYTES)
    letter[0] = name
    letter[1] = rights
    letter[2] = u64(mac)
    expect("give", aegis.frame_give(mail, 1), 0)
    await_step(1)
    expect("release what is bound", aegis.frame_release(frame), Error.IN_USE)
    expect("break", aegis.frame_break(frame), 0)
    expect("still ours", i64(volatile_load(Ptr[u64](STEP))), 1)
    volatile_store(Ptr[u64](STEP), 2)
    while aegis.system_page().environments[1].state != State.FREE:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    expect("stale for us too", aegis.bind(0, name, rights, u64(mac)), Error.STALE)
    expect("release", aegis.frame_release(frame), 0)
    print("done")


def find_mail() -> u64:
    """The only frame of ours that is not mapped: the one that was given."""
    while True:
        for frame in range(aegis.system_page().frames):
            entry = aegis.frame_entry(frame)
            if entry.owner == 1 and entry.kind == abi.FrameKind.DATA and entry.page == abi.NOWHERE:
                return frame
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    return 0


def take() -> None:
    expect("map the mail", aegis.tlb_insert(MAIL, find_mail(), Right.READ), 0)
    letter = Ptr[u64](MAIL * abi.PAGE_BYTES)
    name = letter[0]
    rights = letter[1]
    mac = letter[2]
    only_read = rights & ~u64(Right.WRITE)
    expect("forged", aegis.bind(0, name, rights, mac ^ 1), Error.FORGED)
    expect("another frame's", aegis.bind(0, name + 1, rights, mac), Error.FORGED)
    expect("more rights", aegis.bind(0, name, rights | Right.EXECUTE, mac), Error.FORGED)
    expect("strengthened", aegis.capability_weaken(name, rights, mac, rights | Right.EXECUTE), Error.BAD_ARGUMENT)
    expect("no such slot", aegis.bind(abi.BINDINGS, name, rights, mac), Error.BAD_ARGUMENT)
    weak = u64(aegis.capability_weaken(name, rights, mac, only_read))
    expect("weak", aegis.bind(0, name, only_read, weak), 0)
    expect("slot taken", aegis.bind(0, name, only_read, weak), Error.IN_USE)
    expect("write through a weak one", aegis.tlb_insert_bound(SHARED, 0, Right.WRITE), Error.NOT_PERMITTED)
    expect("an empty slot", aegis.tlb_insert_bound(SHARED, 5, Right.READ), Error.NOT_PERMITTED)
    expect("read", aegis.tlb_insert_bound(SHARED, 0, Right.READ), 0)
    expect("protect upwards", aegis.tlb_protect(SHARED, 1, Right.WRITE), Error.NOT_OWNER)
    expect("as an own frame", aegis.tlb_insert(SHARED, name & 0xFFFFFFFF, Right.WRITE), Error.NOT_OWNER)
    expect("bound elsewhere", aegis.tlb_insert_bound(SHARED + 1, 0, Right.READ), Error.IN_USE)
    expect("strong", aegis.bind(1, name, rights, mac), 0)
    expect("write", aegis.tlb_insert_bound(SHARED + 1, 1, Right.WRITE), 0)
    expect("node of a frame of another's", aegis.tlb_node(MAIL + 512, name & 0xFFFFFFFF), Error.NOT_OWNER)
    volatile_store(Ptr[u64]((SHARED + 1) * abi.PAGE_BYTES), 1)
    expect("one frame", i64(volatile_load(Ptr[u64](STEP))), 1)
    while volatile_load(addr(faults)) == 0:
        volatile_load(Ptr[u64](STEP))
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    before = volatile_load(addr(faults))
    volatile_store(Ptr[u64]((SHARED + 1) * abi.PAGE_BYTES), 7)
    expect("broken", i64(volatile_load(addr(faults)) - before), 1)
    expect("bindings are gone", aegis.tlb_insert_bound(SHARED, 0, Right.READ), Error.NOT_PERMITTED)
    expect("bind a stale one", aegis.bind(2, name, rights, mac), Error.STALE)


def main() -> None:
    exceptions.handle(exceptions.PAGE, count_fault)
    aegis.tlb_node(MAIL, u64(aegis.frame_claim(abi.ANY)))
    if aegis.environment_page().identifier == 0:
        share()
    else:
        take()
