# SPDX-License-Identifier: MIT
"""Reads all files and programs of the bundle in every way there is, and prints what it found, a line each, for the test
to compare. The test lays the declared files beside a copy of this.
"""

from exokernel.aegis import abi
from exokernel.exos import aegis, exceptions, files
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Ptr, Span, addr, u8, u64, volatile_load, volatile_store

FILES = ["motd.txt", "data/table.bin", "empty", "page", "large.bin"]
PROGRAMS = ["spare.py"]
ELSEWHERE = 0x20000000 // abi.PAGE_BYTES
faults: u64 = 0


def count_fault(registers: Registers) -> u8:
    global faults
    faults += 1
    return Verdict.SKIP


def digest(data: Span[u8]) -> u64:
    """FNV-1a."""
    value: u64 = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3
    return value


def faults_of_write(address: u64) -> u64:
    before = volatile_load(addr(faults))
    volatile_store(Ptr[u8](address), 1)
    return volatile_load(addr(faults)) - before


def show_file(number: u64) -> None:
    """Through a view, again, and mapped elsewhere, with what is behind its end."""
    data, error = files.view(number)
    again, _ = files.view(number)
    print(
        "file",
        number,
        error,
        len(data),
        f"{digest(data):#x}",
        u64(addr(data[0])) == u64(addr(again[0])) if len(data) else True,
    )
    size = len(data)
    pages = u64(files.map_at(number, ELSEWHERE))
    mapped = Span[u8](Ptr[u8](ELSEWHERE * abi.PAGE_BYTES), pages * abi.PAGE_BYTES)
    rest: u64 = 0
    for byte in mapped[size:]:
        rest += byte
    refused: u64 = 0
    if size != 0:
        refused = faults_of_write(u64(addr(data[size - 1]))) + faults_of_write(u64(addr(mapped[0])))
    print("mapped", pages, f"{digest(mapped[:size]):#x}", rest, refused)
    for page in range(0, pages, abi.BATCH):
        aegis.tlb_remove(ELSEWHERE + page, min(pages - page, abi.BATCH))


def show_program(name: bytes) -> None:
    number = files.find_program(name)
    print("program", name, number)
    if number < 0:
        return
    program = files.programs()[u64(number)]
    for i in range(u64(program.segment_count)):
        segment = program.segments[i]
        data, error = files.view_part(segment.offset, segment.file_bytes)
        print("segment", error, f"{segment.virtual:#x}", segment.flags, segment.memory_bytes, f"{digest(data):#x}")
        if len(data) != 0:
            frame = aegis.table_entry(u64(addr(data[0])) // abi.PAGE_BYTES).frame
            print("frame", frame == files.first_frame(segment), aegis.frame_entry(frame).kind)


def main() -> None:
    exceptions.handle(exceptions.PAGE, count_fault)
    print("found", files.find(b"motd.txt"), files.find(b"data/table.bin"), files.find(b"empty"), files.find(b"page"))
    for number in range(len(files.files())):
        show_file(number)
    absent, error = files.view(len(files.files()))
    print(
        "absent",
        files.find(b"absent"),
        files.find(b""),
        files.find(b"motd.tx"),
        files.find(b"motd.txt\0"),
        error,
        len(absent),
    )
    print(
        "nowhere",
        files.map_at(0, abi.USER_LIMIT // 4096),
        files.map_at(0, 0xFFFFFFFFFFFFFFFF),
        files.map_at(99, ELSEWHERE),
    )
    own = u64(aegis.frame_claim(abi.ANY))
    print("not public", files.map_frames(ELSEWHERE, aegis.system_page().bundle_frame - 1, 1), aegis.frame_release(own))
    show_program(b"librarian")
    show_program(b"spare")
    show_program(b"spare.py")
    print("done")
