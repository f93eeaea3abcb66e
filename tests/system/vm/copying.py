# SPDX-License-Identifier: MIT
"""Copy-on-write between two environments. Environment 0 shares PAGES pages, both mark them. Of each four, the first is
written by 0 first, the second by 1 first, the third by 0 alone, the fourth by nobody until 1 ended. Prints what is not as
it should be, then `done`.
"""

from marking import mark

from exokernel.aegis import abi
from exokernel.aegis.abi import Kind, Right, State
from exokernel.exos import aegis, exceptions, slots, vm
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, Ptr, addr, i64, struct, u8, u64, volatile_load, volatile_store

PAGES = 12
MAIL = 0x10000000 // abi.PAGE_BYTES
FIRST = 0x20000000 // abi.PAGE_BYTES
refused: u64 = 0


@struct(volatile=True)
class Letter:
    step: u64
    rights: u64
    names: Array[u64, PAGES]
    generations: Array[u64, PAGES]
    macs: Array[u64, PAGES]


def letter() -> Letter:
    return Ptr[Letter](MAIL * abi.PAGE_BYTES)[0]


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(aegis.environment_page().identifier, what, "gave", got, "instead of", wanted)


def skip(registers: Registers) -> u8:
    global refused
    refused += 1
    return Verdict.SKIP


def write(page: u64, value: u64) -> None:
    volatile_store(Ptr[u64](page * abi.PAGE_BYTES), value)


def read(page: u64) -> i64:
    return i64(volatile_load(Ptr[u64](page * abi.PAGE_BYTES)))


def await_step(wanted: u64) -> None:
    while letter().step != wanted:
        assert aegis.system_page().environments[1].state != State.FREE, "the other has ended"
        aegis.yield_to(abi.ANY_ENVIRONMENT)


def parent() -> None:
    expect("region", vm.reserve(FIRST, PAGES, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
    expect("mail", vm.map_as(vm.Kind.OWN, MAIL, u64(aegis.frame_claim(abi.ANY)), 1, Right.WRITE), 0)
    mail = letter()
    for i in range(PAGES):
        write(FIRST + i, 100 + i)
        frame = vm.entry_of(FIRST + i).frame
        mail.names[i] = u64(Kind.FRAME) << abi.NAME_INDEX_BITS | frame
        mail.generations[i] = u64(aegis.frame_entry(frame).generation)
        rights = mail.generations[i] << 32 | Right.READ | Right.WRITE
        mail.macs[i] = u64(aegis.capability_mint(mail.names[i], rights))
    frame = vm.entry_of(MAIL).frame
    rights = u64(aegis.frame_entry(frame).generation) << 32 | Right.READ | Right.WRITE
    name = u64(Kind.FRAME) << abi.NAME_INDEX_BITS | frame
    note = u64(aegis.frame_claim(abi.ANY))
    expect("note", aegis.tlb_insert(MAIL + 1, note, Right.WRITE), 0)
    where = Ptr[u64]((MAIL + 1) * abi.PAGE_BYTES)
    where[0] = name
    where[1] = rights
    where[2] = u64(aegis.capability_mint(name, rights))
    expect("give the note", aegis.frame_give(note, 1), 0)
    await_step(1)
    expect("copies", i64(mark(FIRST, FIRST + PAGES)), PAGES)
    me = aegis.environment_page().identifier
    owned = aegis.system_page().environments[me].frames
    for i in range(0, PAGES, 4):
        write(FIRST + i, 200 + i)
        write(FIRST + i + 2, 200 + i + 2)
    expect("lent", i64(vm.state.lent), PAGES // 2)
    expect("nothing to release", i64(vm.release_lent()), 0)
    mail.step = 2
    await_step(3)
    for i in range(0, PAGES, 4):
        expect("ours", read(FIRST + i), i64(200 + i))
        expect("not the other's", read(FIRST + i + 1), i64(101 + i))
        old = aegis.table_entry(FIRST + i + 1).frame
        write(FIRST + i + 1, 200 + i + 1)
        expect("not copied", i64(aegis.table_entry(FIRST + i + 1).frame), i64(old))
    expect("those that the other copied", i64(vm.release_lent()), PAGES // 4)
    mail.step = 4
    while aegis.system_page().environments[1].state != State.FREE:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    for i in range(0, PAGES, 4):
        expect("unwritten", read(FIRST + i + 3), i64(103 + i))
        old = aegis.table_entry(FIRST + i + 3).frame
        write(FIRST + i + 3, 200 + i + 3)
        expect("alone again", i64(aegis.table_entry(FIRST + i + 3).frame), i64(old))
    expect("those that the other never copied", i64(vm.release_lent()), PAGES // 4)
    expect("lent", i64(vm.state.lent), 0)
    expect("copies", i64(vm.state.copies), 0)
    for i in range(PAGES):
        expect("in the end", read(FIRST + i), i64(200 + i))
    # The list of lent frames took a page, the place for copying a table node with its neighbours.
    more = i64(aegis.system_page().environments[me].frames) - i64(owned)
    if more > 3:
        print("frames were lost:", more)
    print("done")


def find_note() -> u64:
    """The only frame of ours that is not mapped: the one that was given."""
    while True:
        for frame in range(aegis.system_page().frames):
            entry = aegis.frame_entry(frame)
            if entry.owner == 1 and entry.kind == abi.FrameKind.DATA and entry.page == abi.NOWHERE:
                return frame
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    return 0


def child() -> None:
    expect("region", vm.reserve(FIRST, PAGES, Right.WRITE, 0, vm.refuse), 0)
    expect("note", vm.map_as(vm.Kind.OWN, MAIL + 1, find_note(), 1, Right.READ), 0)
    where = Ptr[u64]((MAIL + 1) * abi.PAGE_BYTES)
    slot = slots.take(slots.bindings, 1)
    expect("not private", vm.reserve(MAIL, 1, Right.WRITE, vm.Flag.SHARED, vm.refuse), 0)
    expect("bind the mail", aegis.bind(slot, where[0], where[1], where[2]), 0)
    expect("mail", vm.map_as(vm.Kind.BOUND, MAIL, slot, 1, Right.WRITE), 0)
    mail = letter()
    first = slots.take(slots.bindings, PAGES)
    for i in range(PAGES):
        rights = mail.generations[i] << 32 | Right.READ | Right.WRITE
        expect("bind", aegis.bind(first + i, mail.names[i], rights, mail.macs[i]), 0)
    expect("map", vm.map_as(vm.Kind.BOUND, FIRST, first, PAGES, Right.WRITE), 0)
    expect("copies", i64(mark(0, vm.PAGES) > PAGES + 10), 1)  # image and stack too, so faults must not write there
    mail.step = 1
    await_step(2)
    for i in range(0, PAGES, 4):
        expect("as it was", read(FIRST + i), i64(100 + i))
        write(FIRST + i, 300 + i)
        write(FIRST + i + 1, 300 + i + 1)
        expect("as it was", read(FIRST + i + 2), i64(102 + i))
        expect("slot free", i64(slots.is_taken(slots.bindings, first + i)), 0)
        expect("slot taken", i64(slots.is_taken(slots.bindings, first + i + 2)), 1)
    mail.step = 3
    await_step(4)
    for i in range(0, PAGES, 4):
        expect("ours", read(FIRST + i) + read(FIRST + i + 1), i64(300 + i + 301 + i))
        expect("theirs no more", read(FIRST + i + 2) + read(FIRST + i + 3), i64(102 + i + 103 + i))
    expect("hide", vm.protect(FIRST + 2, 2, Right.NONE), 0)
    before = volatile_load(addr(refused))
    read(FIRST + 2)
    expect("hidden", i64(volatile_load(addr(refused)) - before), 1)
    expect("reveal", vm.protect(FIRST + 2, 2, Right.WRITE), 0)
    expect("revealed", read(FIRST + 2) + read(FIRST + 3), 205)
    expect("unmap", vm.unmap(FIRST, 3), 0)
    expect("slot free", i64(slots.is_taken(slots.bindings, first + 2)), 0)


def main() -> None:
    exceptions.handle(exceptions.PAGE, skip)
    expect("start", vm.start(), 0)
    if aegis.environment_page().identifier == 0:
        parent()
    else:
        child()
