# SPDX-License-Identifier: MIT
"""What becomes of a frame that others have bound when its owner ends: with INHERIT it is theirs, without it is gone. And
who has power over what the one that ended created. Prints what is not as it should be, then `done`.
"""

from cycles import expect, settle

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis, process, vm
from exokernel.metal import Ptr, Span, addr, i64, u8, u64, volatile_load, volatile_store

CODE = abi.IMAGE_ADDRESS // abi.PAGE_BYTES
COUNTER = 0x500000 // abi.PAGE_BYTES
BOARD = 0x2F000000 // abi.PAGE_BYTES
# inc qword ptr [0x500000]; jmp to itself
COUNT = b"\x48\xff\x04\x25\x00\x00\x50\x00\xeb\xf6"


def board(place: u64) -> Ptr[u64]:
    return Ptr[u64](BOARD * abi.PAGE_BYTES) + place


def count_in(how: u64) -> None:
    """As a process: an environment that counts in a page of ours; then end, and leave its number and the frame's."""
    expect("page", vm.fill(COUNTER, Right.WRITE), 0)
    slot, environment = process.create(u64(process.begin_page()))
    code = process.claim()
    aegis.tlb_insert(process.SCRATCH, u64(code), Right.WRITE)
    Span[u8](Ptr[u8](process.SCRATCH * abi.PAGE_BYTES), len(COUNT)).copy_from(Span[u8](addr(COUNT[0]), len(COUNT)))
    expect("code", process.give(u64(slot), CODE, u64(code), Right.EXECUTE), 0)
    expect("share", process.share(u64(slot), COUNTER, 1, 9, how), 0)
    expect("slice", i64(process.give_slice(environment)), 1)
    process.start(u64(slot), environment, abi.IMAGE_ADDRESS, 0)
    while volatile_load(Ptr[u64](COUNTER * abi.PAGE_BYTES)) < 100:
        aegis.yield_to(environment)
    volatile_store(board(0), environment)
    volatile_store(board(1), aegis.table_entry(COUNTER).frame)
    process.exit(0)


def owner_ends(how: u64) -> u64:
    """The environment that is left behind, or that was."""
    number = process.fork()
    if number == 0:
        count_in(how)
    found, _ = process.wait(u64(number))
    expect("owner", found, number)
    settle()
    return volatile_load(board(0))


def main() -> None:
    expect("board", vm.reserve(BOARD, 1, Right.WRITE, vm.Flag.SHARED, vm.refuse), 0)
    expect("board", vm.commit(BOARD, 1), 0)
    free = aegis.system_page().frames_free
    environment = owner_ends(Right.WRITE)
    while not process.has_ended(process.where_is(environment)):
        aegis.yield_to(environment)
    expect("by a page fault", i64(aegis.system_page().environments[environment].status), 128 + 14)
    settle()

    environment = owner_ends(Right.WRITE | Right.INHERIT)
    for _ in range(100):
        aegis.yield_to(environment)
    expect("goes on", i64(process.has_ended(process.where_is(environment))), 0)
    entry = aegis.frame_entry(volatile_load(board(1)))
    expect("is the heir's", i64(entry.owner), i64(environment))
    expect("at its page", i64(entry.page), COUNTER)
    expect("and bound no more", i64(entry.bindings), 0)
    where = process.where_is(environment)
    mac = aegis.capability_mint(process.name_of(environment), where >> 32 << 32 | process.ALL)
    expect("adopted", i64(mac >= 0), 1)
    expect("end", process.end_environment(where, u64(mac)), 0)
    expect("mint of the dead", aegis.capability_mint(process.name_of(environment), where), Error.NOT_OWNER)
    settle()
    expect("frames", i64(aegis.system_page().frames_free), i64(free) - 1)  # the table of the family
    print("done")
