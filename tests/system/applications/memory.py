# SPDX-License-Identifier: MIT
"""Frames and mappings, one check after the other: named claims, release, giving, pins, ranges, batches, large pages,
nodes taken back, and the tables that can be read without a call. Prints each expectation that is not met, then `done`.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis, exceptions
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, Ptr, addr, i64, u8, u32, u64, volatile_load, volatile_store

FIRST = 0x10000000 // abi.PAGE_BYTES
LARGE = 0x20000000 // abi.PAGE_BYTES
numbers: Array[u64, 128] = Array[u64, 128]()
faults: u64 = 0


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted)


def count_fault(registers: Registers) -> u8:
    global faults
    faults += 1
    return Verdict.SKIP


def seen() -> u64:
    """`faults`, which a handler changes behind the compiler's back."""
    return volatile_load(addr(faults))


def faults_of_write(page: u64) -> i64:
    """1 if a write to a page is refused."""
    before = seen()
    volatile_store(Ptr[u64](page * abi.PAGE_BYTES), 5)
    return i64(seen() - before)


def faults_of_read(page: u64) -> i64:
    before = seen()
    volatile_load(Ptr[u64](page * abi.PAGE_BYTES))
    return i64(seen() - before)


def check_frames() -> None:
    me = aegis.environment_page().identifier
    system = aegis.system_page()
    free = system.frames_free
    frame = u64(aegis.frame_claim(abi.ANY))
    entry = aegis.frame_entry(frame)
    expect("owner", i64(entry.owner), i64(me))
    expect("kind", i64(entry.kind), abi.FrameKind.DATA)
    expect("claim what has an owner", aegis.frame_claim(frame), Error.BUSY)
    expect("claim frame 0", aegis.frame_claim(0), Error.BUSY)
    expect("claim what does not exist", aegis.frame_claim(system.frames * 2), Error.BAD_ARGUMENT)
    generation = entry.generation
    expect("map", aegis.tlb_insert(FIRST, frame, Right.WRITE), 0)
    expect("where", i64(entry.page), FIRST)
    expect("map twice", aegis.tlb_insert(FIRST + 1, frame, Right.WRITE), Error.IN_USE)
    volatile_store(Ptr[u64](FIRST * abi.PAGE_BYTES), 7)
    expect("accessed and dirty", i64(u64(aegis.table_entry(FIRST).accessed) + u64(aegis.table_entry(FIRST).dirty)), 2)
    expect("release", aegis.frame_release(frame), 0)
    expect("release twice", aegis.frame_release(frame), Error.NOT_OWNER)
    expect("a read of what was released", faults_of_read(FIRST), 1)
    expect("is free", i64(entry.owner), abi.FRAME_FREE)
    expect("generation moved on", i64(entry.generation != generation), 1)
    expect("as many free as before", i64(system.frames_free), i64(free))
    expect("claim it by name", aegis.frame_claim(frame), i64(frame))
    expect("map it again", aegis.tlb_insert(FIRST, frame, Right.WRITE), 0)
    expect("it is clear", i64(volatile_load(Ptr[u64](FIRST * abi.PAGE_BYTES))), 0)
    expect("break what nobody bound", aegis.frame_break(frame), 0)
    expect("break another's", aegis.frame_break(0), Error.NOT_OWNER)
    expect("give to nobody", aegis.frame_give(frame, 63), Error.NO_ENVIRONMENT)
    expect("give to nonsense", aegis.frame_give(frame, 0xFFFFFFFFFFFFFFFF), Error.NO_ENVIRONMENT)
    expect("still mapped", faults_of_read(FIRST), 0)
    expect("pin", aegis.frame_pin(frame, 1), 0)
    expect("pin again", aegis.frame_pin(frame, 1), 0)
    expect("release what is pinned", aegis.frame_release(frame), Error.IN_USE)
    expect("unpin", aegis.frame_pin(frame, 0), 0)
    expect("guarantee", aegis.frame_guarantee(frame, 1), 0)
    expect("give what is guaranteed", aegis.frame_give(frame, me), Error.IN_USE)
    expect("no longer", aegis.frame_guarantee(frame, 0), 0)
    expect("neither", aegis.frame_pin(frame, 2), Error.BAD_ARGUMENT)
    expect("release in the end", aegis.frame_release(frame), 0)
    expect("nobody's are lost", i64(system.frames_free), i64(free))


def check_limits() -> None:
    for i in range(abi.GUARANTEED_FRAMES + 1):
        numbers[i] = u64(aegis.frame_claim(abi.ANY))
        wanted: i64 = 0 if i < abi.GUARANTEED_FRAMES else Error.NO_ROOM
        expect("guarantee one more", aegis.frame_guarantee(numbers[i], 1), wanted)
    for i in range(abi.GUARANTEED_FRAMES + 1):
        aegis.frame_guarantee(numbers[i], 0)
        expect("release a guaranteed one", aegis.frame_release(numbers[i]), 0)


def check_ranges() -> None:
    for i in range(u64(len(numbers))):
        numbers[i] = u64(aegis.frame_claim(abi.ANY))
    expect("batch", aegis.tlb_insert_batch(FIRST, numbers[:], Right.WRITE), 128)
    expect("batch again", aegis.tlb_insert_batch(FIRST, numbers[:], Right.WRITE), 128)
    expect("batch elsewhere", aegis.tlb_insert_batch(FIRST + 1, numbers[:], Right.WRITE), Error.IN_USE)
    expect("batch of too many", aegis.call4(abi.Call.TLB_INSERT_BATCH, FIRST, 0x400000, 129, 1), Error.BAD_ARGUMENT)
    expect("batch from nowhere", aegis.call4(abi.Call.TLB_INSERT_BATCH, FIRST, 0, 2, 1), Error.BAD_ADDRESS)
    for i in range(128):
        expect("write", faults_of_write(FIRST + i), 0)
    for count in range(1, 129):
        expect("protect", aegis.tlb_protect(FIRST, count, Right.READ), 0)
        expect("last protected", faults_of_write(FIRST + count - 1), 1)
        if count < 128:
            expect("first not protected", faults_of_write(FIRST + count), 0)
        expect("dirty stays", i64(aegis.table_entry(FIRST).dirty), 1)
        expect("back", aegis.tlb_protect(FIRST, count, Right.WRITE), 0)
        expect("write again", faults_of_write(FIRST + count - 1), 0)
    expect("protect nothing", aegis.tlb_protect(FIRST, 0, Right.READ), Error.BAD_ARGUMENT)
    expect("protect too much", aegis.tlb_protect(FIRST, 129, Right.READ), Error.BAD_ARGUMENT)
    expect("protect beyond", aegis.tlb_protect(abi.USER_LIMIT // 4096 - 1, 2, Right.READ), Error.BAD_ARGUMENT)
    expect("protect around", aegis.tlb_protect(0xFFFFFFFFFFFFFFFF, 2, Right.READ), Error.BAD_ARGUMENT)
    expect("protect to nonsense", aegis.tlb_protect(FIRST, 2, Right.WRITE | Right.EXECUTE), Error.BAD_ARGUMENT)
    expect("protect what is not mapped", aegis.tlb_protect(FIRST + 200, 100, Right.WRITE), 0)
    expect("protect without a node", aegis.tlb_protect(LARGE, 100, Right.WRITE), 0)
    expect("make the system page writable", aegis.tlb_protect(0x201, 1, Right.WRITE), Error.NOT_OWNER)
    expect("and its neighbour", aegis.tlb_protect(0x200, 2, Right.WRITE), Error.NOT_OWNER)
    expect("make the program writable", aegis.tlb_protect(0x400, 1, Right.WRITE), Error.NOT_OWNER)
    expect("remove", aegis.tlb_remove(FIRST, 100), 0)
    expect("read after it", faults_of_read(FIRST + 99), 1)
    expect("one not removed", faults_of_read(FIRST + 100), 0)
    expect("node in use", aegis.tlb_node_remove(FIRST), Error.IN_USE)
    expect("remove the rest", aegis.tlb_remove(FIRST + 100, 128), 0)
    for i in range(128):
        expect("not mapped", i64(aegis.frame_entry(numbers[i]).page), abi.NOWHERE)
        aegis.frame_release(numbers[i])


def check_nodes(free: u64) -> None:
    node = aegis.tlb_node_remove(FIRST)
    expect("node comes back", i64(node > 0), 1)
    expect("no node", aegis.tlb_node_remove(FIRST), Error.NO_NODE)
    expect("no node to insert", aegis.tlb_insert(FIRST, u64(node), Right.READ), Error.NO_NODE)
    expect("release the node", aegis.frame_release(u64(node)), 0)
    expect("an entry without a node", i64(aegis.table_entry(FIRST).present), 0)
    expect("all free again", i64(aegis.system_page().frames_free), i64(free))


def check_large() -> None:
    first: u64 = 0
    for candidate in range(512, aegis.system_page().frames, 512):
        if first == 0:
            claimed: u64 = 0
            while claimed < 512 and aegis.frame_claim(candidate + claimed) > 0:
                claimed += 1
            if claimed == 512:
                first = candidate
            else:
                for i in range(claimed):
                    aegis.frame_release(candidate + i)
    expect("512 frames", i64(first != 0), 1)
    expect("not aligned", aegis.tlb_insert_large(LARGE + 1, first, Right.WRITE), Error.BAD_ARGUMENT)
    expect("others' frames", aegis.tlb_insert_large(LARGE, 0, Right.WRITE), Error.NOT_OWNER)
    expect("map large", aegis.tlb_insert_large(LARGE, first, Right.WRITE), 0)
    expect("write large", faults_of_write(LARGE + 511), 0)
    expect("node there", aegis.tlb_node(LARGE, u64(aegis.frame_claim(abi.ANY))), Error.IN_USE)
    expect("page there", aegis.tlb_insert(LARGE, first, Right.READ), Error.IN_USE)
    expect("release one of them", aegis.frame_release(first + 5), 0)
    expect("all of it is gone", faults_of_read(LARGE + 200), 1)
    expect("and can come", aegis.frame_claim(first + 5), i64(first + 5))
    expect("back", aegis.tlb_insert_large(LARGE, first, Right.READ), 0)
    expect("what was written", i64(volatile_load(Ptr[u64]((LARGE + 511) * 4096))), 5)
    expect("read only", faults_of_write(LARGE), 1)
    expect("remove large", aegis.tlb_remove(LARGE + 3, 1), 0)
    expect("gone", faults_of_read(LARGE), 1)


def check_tables() -> None:
    """What can be read cannot be written, and the kernel beside it not read."""
    before = seen()
    volatile_store(Ptr[u32](abi.FRAMES_ADDRESS), 0)
    volatile_store(Ptr[u64](abi.ENTRIES_ADDRESS + 8 * 0x200), 0)
    expect("tables written", i64(seen() - before), 2)
    volatile_load(Ptr[u64](abi.ENTRIES_ADDRESS + 0x200000))
    volatile_load(Ptr[u64](0x80200000))
    expect("kernel read", i64(seen() - before), 4)


def check_new_node_is_seen() -> None:
    """The exported table showed the place of a new node as it was before, if it had been read."""
    page: u64 = 0x30000000 // abi.PAGE_BYTES
    expect("vacant", i64(aegis.table_entry(page).raw), 2)
    expect("new node", aegis.tlb_node(page, u64(aegis.frame_claim(abi.ANY))), 0)
    expect("not vacant any more", i64(aegis.table_entry(page).raw), 0)
    expect("remove the node", i64(aegis.tlb_node_remove(page) > 0), 1)
    expect("vacant again", i64(aegis.table_entry(page).raw), 2)


def main() -> None:
    exceptions.handle(exceptions.PAGE, count_fault)
    free = aegis.system_page().frames_free
    aegis.tlb_node(FIRST, u64(aegis.frame_claim(abi.ANY)))
    check_frames()
    check_limits()
    check_ranges()
    check_nodes(free)
    check_large()
    check_tables()
    check_new_node_is_seen()
    print("done")
