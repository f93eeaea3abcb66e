# SPDX-License-Identifier: MIT
"""Starts a program of the bundle several times, by hand: what it only reads is mapped where it lies, what it may write is
copied. Then waits until all have ended, and says what it cost in frames, and whether they came back.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import BundleSegment, Right, State
from exokernel.exos import aegis, files
from exokernel.metal import Array, Ptr, Span, i64, u8, u64

PROGRAMS = ["spare.py"]
TIMES = 3
SCRATCH = 0x20000000 // abi.PAGE_BYTES
PAGE_PART = 5  # which of the frames is the environment page
children: Array[u64, TIMES] = Array[u64, TIMES]()
parts: Array[u64, abi.ENVIRONMENT_FRAMES] = Array[u64, abi.ENVIRONMENT_FRAMES]()


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted)


def load(slot: u64, segment: BundleSegment) -> None:
    pages = (segment.memory_bytes + abi.PAGE_BYTES - 1) // abi.PAGE_BYTES
    first = segment.virtual // abi.PAGE_BYTES
    data, error = files.view_part(segment.offset, segment.file_bytes)
    expect("view", error, 0)
    for i in range(pages):
        done = min(i * abi.PAGE_BYTES, len(data))
        if segment.flags & abi.MAY_WRITE or done == len(data):
            part = data[done : min(done + abi.PAGE_BYTES, len(data))]
            frame = u64(aegis.frame_claim(abi.ANY))
            aegis.tlb_insert(SCRATCH, frame, Right.WRITE)
            Span[u8](Ptr[u8](SCRATCH * abi.PAGE_BYTES), len(part)).copy_from(part)
            rights: u64 = Right.WRITE if segment.flags & abi.MAY_WRITE else Right.READ
            expect("give", aegis.environment_give(slot, first + i, frame, rights), 0)
        else:
            rights = Right.EXECUTE if segment.flags & abi.MAY_EXECUTE else Right.READ
            expect("map", aegis.environment_give(slot, first + i, files.first_frame(segment) + i, rights), 0)


def prepare(slot: u64) -> u64:
    """A child that is not yet started; its number."""
    for i in range(u64(len(parts))):
        parts[i] = u64(aegis.frame_claim(abi.ANY) if i == PAGE_PART else aegis.frame_claim_table(abi.ANY))
    child = aegis.environment_create(slot, abi.ANY, parts)
    program = files.programs()[u64(files.find_program(b"spare"))]
    expect(
        "node",
        aegis.environment_node(
            slot, program.segments[0].virtual // abi.PAGE_BYTES, u64(aegis.frame_claim_table(abi.ANY))
        ),
        0,
    )
    for i in range(u64(program.segment_count)):
        load(slot, program.segments[i])
    for i in range(1, 5):
        expect(
            "stack",
            aegis.environment_give(
                slot, abi.STACK_TOP // abi.PAGE_BYTES - i, u64(aegis.frame_claim(abi.ANY)), Right.WRITE
            ),
            0,
        )
    return u64(child)


def start(slot: u64, child: u64) -> None:
    program = files.programs()[u64(files.find_program(b"spare"))]
    expect("start", aegis.environment_start(slot, program.entry, abi.STACK_TOP), 0)
    expect("slice", aegis.slice_give(u64(aegis.slice_claim(abi.ANY)), child), 0)


def main() -> None:
    aegis.tlb_node(SCRATCH, u64(aegis.frame_claim(abi.ANY)))
    files.view_part(0, 1)
    free = aegis.system_page().frames_free
    for slot in range(TIMES):
        children[slot] = prepare(slot)
    print("frames", free - aegis.system_page().frames_free)
    for slot in range(TIMES):
        start(slot, children[slot])
    while aegis.system_page().frames_free != free:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    for status in aegis.system_page().environments[1:]:
        expect("state", i64(status.state), State.FREE)
    print("done")
