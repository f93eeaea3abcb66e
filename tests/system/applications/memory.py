# SPDX-License-Identifier: MIT
"""Frames and mappings, one check after the other: named claims, release, giving, pins, ranges, batches, large pages,
nodes taken back, and the tables that can be read without a call. Prints each expectation that is not met, then `done`.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import exceptions
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
    me = abi.environment_page().identifier
    system = abi.system_page()
    free = system.frames_free
    frame = u64(abi.frame_claim(abi.ANY))
    entry = abi.frame_entry(frame)
    expect("owner", i64(entry.owner), i64(me))
    expect("kind", i64(entry.kind), abi.FrameKind.DATA)
    expect("claim what has an owner", abi.frame_claim(frame), Error.BUSY)
    expect("claim frame 0", abi.frame_claim(0), Error.BUSY)
    expect("claim what does not exist", abi.frame_claim(system.frames * 2), Error.BAD_ARGUMENT)
    generation = entry.generation
    expect("map", abi.tlb_insert(FIRST, frame, Right.WRITE), 0)
    expect("where", i64(entry.page), FIRST)
    expect("map twice", abi.tlb_insert(FIRST + 1, frame, Right.WRITE), Error.IN_USE)
    volatile_store(Ptr[u64](FIRST * abi.PAGE_BYTES), 7)
    expect("accessed and dirty", i64(u64(abi.table_entry(FIRST).accessed) + u64(abi.table_entry(FIRST).dirty)), 2)
    expect("release", abi.frame_release(frame), 0)
    expect("release twice", abi.frame_release(frame), Error.NOT_OWNER)
    expect("a read of what was released", faults_of_read(FIRST), 1)
    expect("is free", i64(entry.owner), abi.FRAME_FREE)
    expect("generation moved on", i64(entry.generation != generation), 1)
    expect("as many free as before", i64(system.frames_free), i64(free))
    expect("claim it by name", abi.frame_claim(frame), i64(frame))
    expect("map it again", abi.tlb_insert(FIRST, frame, Right.WRITE), 0)
    expect("it is clear", i64(volatile_load(Ptr[u64](FIRST * abi.PAGE_BYTES))), 0)
    expect("break what nobody bound", abi.frame_break(frame), 0)
    expect("break another's", abi.frame_break(0), Error.NOT_OWNER)
    expect("give to nobody", abi.frame_give(frame, 63), Error.NO_ENVIRONMENT)
    expect("give to nonsense", abi.frame_give(frame, 0xFFFFFFFFFFFFFFFF), Error.NO_ENVIRONMENT)
    expect("still mapped", faults_of_read(FIRST), 0)
    expect("pin", abi.frame_pin(frame, 1), 0)
    expect("pin again", abi.frame_pin(frame, 1), 0)
    expect("release what is pinned", abi.frame_release(frame), Error.IN_USE)
    expect("unpin", abi.frame_pin(frame, 0), 0)
    expect("guarantee", abi.frame_guarantee(frame, 1), 0)
    expect("give what is guaranteed", abi.frame_give(frame, me), Error.IN_USE)
    expect("no longer", abi.frame_guarantee(frame, 0), 0)
    expect("neither", abi.frame_pin(frame, 2), Error.BAD_ARGUMENT)
    expect("release in the end", abi.frame_release(frame), 0)
    expect("nobody's are lost", i64(system.frames_free), i64(free))


def check_limits() -> None:
    for i in range(abi.GUARANTEED_FRAMES + 1):
        numbers[i] = u64(abi.frame_claim(abi.ANY))
        wanted: i64 = 0 if i < abi.GUARANTEED_FRAMES else Error.NO_ROOM
        expect("guarantee one more", abi.frame_guarantee(numbers[i], 1), wanted)
    for i in range(abi.GUARANTEED_FRAMES + 1):
        abi.frame_guarantee(numbers[i], 0)
        expect("release a guaranteed one", abi.frame_release(numbers[i]), 0)


def check_ranges() -> None:
    for i in range(u64(len(numbers))):
        numbers[i] = u64(abi.frame_claim(abi.ANY))
    expect("batch", abi.tlb_insert_batch(FIRST, numbers[:], Right.WRITE), 128)
    expect("batch again", abi.tlb_insert_batch(FIRST, numbers[:], Right.WRITE), 128)
    expect("batch elsewhere", abi.tlb_insert_batch(FIRST + 1, numbers[:], Right.WRITE), Error.IN_USE)
    expect("batch of too many", abi.call4(abi.Call.TLB_INSERT_BATCH, FIRST, 0x400000, 129, 1), Error.BAD_ARGUMENT)
    expect("batch from nowhere", abi.call4(abi.Call.TLB_INSERT_BATCH, FIRST, 0, 2, 1), Error.BAD_ADDRESS)
    for i in range(128):
        expect("write", faults_of_write(FIRST + i), 0)
    for count in range(1, 129):
        expect("protect", abi.tlb_protect(FIRST, count, Right.READ), 0)
        expect("last protected", faults_of_write(FIRST + count - 1), 1)
        if count < 128:
            expect("first not protected", faults_of_write(FIRST + count), 0)
        expect("dirty stays", i64(abi.table_entry(FIRST).dirty), 1)
        expect("back", abi.tlb_protect(FIRST, count, Right.WRITE), 0)
        expect("write again", faults_of_write(FIRST + count - 1), 0)
    expect("protect nothing", abi.tlb_protect(FIRST, 0, Right.READ), Error.BAD_ARGUMENT)
    expect("protect too much", abi.tlb_protect(FIRST, 129, Right.READ), Error.BAD_ARGUMENT)
    expect("protect beyond", abi.tlb_protect(abi.USER_LIMIT // 4096 - 1, 2, Right.READ), Error.BAD_ARGUMENT)
    expect("protect around", abi.tlb_protect(0xFFFFFFFFFFFFFFFF, 2, Right.READ), Error.BAD_ARGUMENT)
    expect("protect to nonsense", abi.tlb_protect(FIRST, 2, Right.WRITE | Right.EXECUTE), Error.BAD_ARGUMENT)
    expect("protect what is not mapped", abi.tlb_protect(FIRST + 200, 100, Right.WRITE), 0)
    expect("protect without a node", abi.tlb_protect(LARGE, 100, Right.WRITE), 0)
    expect("make the system page writable", abi.tlb_protect(0x201, 1, Right.WRITE), Error.NOT_OWNER)
    expect("and its neighbour", abi.tlb_protect(0x200, 2, Right.WRITE), Error.NOT_OWNER)
    expect("make the program writable", abi.tlb_protect(0x400, 1, Right.WRITE), Error.NOT_OWNER)
    expect("remove", abi.tlb_remove(FIRST, 100), 0)
    expect("read after it", faults_of_read(FIRST + 99), 1)
    expect("one not removed", faults_of_read(FIRST + 100), 0)
    expect("node in use", abi.tlb_node_remove(FIRST), Error.IN_USE)
    expect("remove the rest", abi.tlb_remove(FIRST + 100, 128), 0)
    for i in range(128):
        expect("not mapped", i64(abi.frame_entry(numbers[i]).page), abi.NOWHERE)
        abi.frame_release(numbers[i])


def check_nodes(free: u64) -> None:
    node = abi.tlb_node_remove(FIRST)
    expect("node comes back", i64(node > 0), 1)
    expect("no node", abi.tlb_node_remove(FIRST), Error.NO_NODE)
    expect("no node to insert", abi.tlb_insert(FIRST, u64(node), Right.READ), Error.NO_NODE)
    expect("release the node", abi.frame_release(u64(node)), 0)
    expect("an entry without a node", i64(abi.table_entry(FIRST).present), 0)
    expect("all free again", i64(abi.system_page().frames_free), i64(free))


def check_large() -> None:
    first: u64 = 0
    for candidate in range(512, abi.system_page().frames, 512):
        if first == 0:
            claimed: u64 = 0
            while claimed < 512 and abi.frame_claim(candidate + claimed) > 0:
                claimed += 1
            if claimed == 512:
                first = candidate
            else:
                for i in range(claimed):
                    abi.frame_release(candidate + i)
    expect("512 frames", i64(first != 0), 1)
    expect("not aligned", abi.tlb_insert_large(LARGE + 1, first, Right.WRITE), Error.BAD_ARGUMENT)
    expect("others' frames", abi.tlb_insert_large(LARGE, 0, Right.WRITE), Error.NOT_OWNER)
    expect("map large", abi.tlb_insert_large(LARGE, first, Right.WRITE), 0)
    expect("write large", faults_of_write(LARGE + 511), 0)
    expect("node there", abi.tlb_node(LARGE, u64(abi.frame_claim(abi.ANY))), Error.IN_USE)
    expect("page there", abi.tlb_insert(LARGE, first, Right.READ), Error.IN_USE)
    expect("release one of them", abi.frame_release(first + 5), 0)
    expect("all of it is gone", faults_of_read(LARGE + 200), 1)
    expect("and can come", abi.frame_claim(first + 5), i64(first + 5))
    expect("back", abi.tlb_insert_large(LARGE, first, Right.READ), 0)
    expect("what was written", i64(volatile_load(Ptr[u64]((LARGE + 511) * 4096))), 5)
    expect("read only", faults_of_write(LARGE), 1)
    expect("remove large", abi.tlb_remove(LARGE + 3, 1), 0)
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


def main() -> None:
    exceptions.handle(exceptions.PAGE, count_fault)
    free = abi.system_page().frames_free
    abi.tlb_node(FIRST, u64(abi.frame_claim(abi.ANY)))
    check_frames()
    check_limits()
    check_ranges()
    check_nodes(free)
    check_large()
    check_tables()
    print("done")
