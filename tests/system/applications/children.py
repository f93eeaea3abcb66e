# SPDX-License-Identifier: MIT
"""Environments made by an application: created, filled, started, ended by themselves and by their creator, thousands of
times; afterwards every counter is where it was. Prints what is not as it should be, then `done`.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Event, Kind, Right, State
from exokernel.exos import aegis
from exokernel.metal import Array, Ptr, Span, addr, atomic_and, i64, u8, u64, volatile_load

CYCLES = 10_000
SCRATCH = 0x10000000 // abi.PAGE_BYTES  # pages of ours, to prepare those of a child
CODE = abi.IMAGE_ADDRESS // abi.PAGE_BYTES
PAGE_PART = 5  # which of the frames is the environment page

# mov eax, EXIT; mov edi, 42; syscall
EXIT_42 = b"\xb8\x02\x00\x00\x00\xbf\x2a\x00\x00\x00\x0f\x05"
# inc qword ptr [0x500000]; jmp to itself
COUNT = b"\x48\xff\x04\x25\x00\x00\x50\x00\xeb\xf6"
SHARED = 0x500000 // abi.PAGE_BYTES

parts: Array[u64, abi.ENVIRONMENT_FRAMES] = Array[u64, abi.ENVIRONMENT_FRAMES]()


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted)


def claim_parts() -> None:
    for i in range(u64(len(parts))):
        parts[i] = u64(aegis.frame_claim(abi.ANY) if i == PAGE_PART else aegis.frame_claim_table(abi.ANY))


def create(slot: u64, number: u64, code: bytes) -> u64:
    """A child with one page of code, not yet started."""
    claim_parts()
    child = aegis.environment_create(slot, number, parts)
    expect("node", aegis.environment_node(slot, CODE, u64(aegis.frame_claim_table(abi.ANY))), 0)
    frame = u64(aegis.frame_claim(abi.ANY))
    aegis.tlb_insert(SCRATCH, frame, Right.WRITE)
    Span[u8](Ptr[u8](SCRATCH * abi.PAGE_BYTES), len(code)).copy_from(Span[u8](addr(code[0]), len(code)))
    expect("give", aegis.environment_give(slot, CODE, frame, Right.EXECUTE), 0)
    return u64(child)


def state_of(number: u64) -> u64:
    return u64(volatile_load(addr(aegis.system_page().environments[number].state)))


def child_ended() -> bool:
    """Whether we were told; forgets it."""
    told = aegis.environment_page().pending & Event.CHILD_ENDED != 0
    atomic_and(addr(aegis.environment_page().pending), ~u64(Event.CHILD_ENDED))
    return told


def cycles() -> None:
    """Half of them end by themselves, half are ended, some before they were started."""
    system = aegis.system_page()
    free = system.frames_free
    for i in range(CYCLES):
        number = create(0, abi.ANY, EXIT_42 if i % 2 == 0 else COUNT)
        if i % 4 != 3:
            expect("start", aegis.environment_start(0, abi.IMAGE_ADDRESS, 0), 0)
        if i % 2 == 0:
            expect("yield", aegis.yield_to(number), 0)
            while state_of(number) != State.FREE and state_of(number) != State.ENDED:
                aegis.yield_to(number)  # a tick came in between
            expect("status", i64(system.environments[number].status), 42)
            expect("power over the dead", aegis.environment_end(0, 1), Error.NOT_PERMITTED)
            aegis.unbind(0)
        else:
            expect("end", aegis.environment_end(0, 7), 0)
            expect("status", i64(system.environments[number].status), 7)
        expect("told", i64(child_ended()), 1)
    while aegis.environment_create(0, 63, parts) == Error.NOT_OWNER and system.frames_free < free:
        pass  # each try gives some frames back
    for status in system.environments:
        expect("all free", i64(status.state == State.ENDED), 0)
    expect("frames", i64(system.frames_free), i64(free))
    for i in range(abi.SLICES):
        expect("slices", i64(system.slice_owners[i] == 0 or system.slice_owners[i] == abi.ENVIRONMENTS), 1)


def shares() -> None:
    """A child counts in a page of ours until we break it; then it has no handler and ends."""
    frame = u64(aegis.frame_claim(abi.ANY))
    aegis.tlb_insert(SHARED, frame, Right.WRITE)
    create(0, 9, COUNT)
    aegis.tlb_insert(SCRATCH, u64(aegis.frame_claim(abi.ANY)), Right.WRITE)
    expect("share without node", aegis.environment_share(0, SCRATCH, 1, 0, Right.WRITE), Error.NO_NODE)
    expect("share", aegis.environment_share(0, SHARED, 1, 3, Right.READ | Right.WRITE), 1)
    expect("slot taken", aegis.environment_share(0, SHARED, 1, 3, Right.READ), Error.NO_ROOM)
    expect("no such slot", aegis.environment_share(0, SHARED, 1, abi.BINDINGS, Right.READ), Error.NO_ROOM)
    expect("bound", i64(aegis.frame_entry(frame).bindings != 0), 1)
    aegis.environment_start(0, abi.IMAGE_ADDRESS, 0)
    expect("start twice", aegis.environment_start(0, abi.IMAGE_ADDRESS, 0), Error.BUSY)
    expect("give a slice", aegis.slice_give(u64(aegis.slice_claim(abi.ANY)), 9), 0)
    while volatile_load(Ptr[u64](SHARED * abi.PAGE_BYTES)) < 1000:
        aegis.yield_to(9)
    expect("break", aegis.frame_break(frame), 0)
    while state_of(9) == State.RUNNABLE:
        aegis.yield_to(9)
    expect("by a page fault", i64(aegis.system_page().environments[9].status), 128 + 14)
    expect("release", aegis.frame_release(frame), 0)
    aegis.unbind(0)


def public() -> None:
    """A frame of the bundle is shown to a child, and stays what it was."""
    create(0, abi.ANY, EXIT_42)
    frame = aegis.system_page().bundle_frame
    expect("no node", aegis.environment_give(0, SCRATCH, frame, Right.READ), Error.NO_NODE)
    expect("public", aegis.environment_give(0, CODE + 1, frame, Right.READ), 0)
    expect("to write", aegis.environment_give(0, CODE + 2, frame, Right.WRITE), Error.NOT_OWNER)
    expect("owner", i64(aegis.frame_entry(frame).owner), abi.FRAME_KERNEL)
    expect("end", aegis.environment_end(0, 0), 0)
    aegis.unbind(0)


def refusals() -> None:
    """What is not ours, not there or not allowed."""
    expect("nothing bound", aegis.environment_start(5, 0, 0), Error.NOT_PERMITTED)
    expect("no such slot", aegis.environment_end(500, 0), Error.NOT_PERMITTED)
    claim_parts()
    expect("taken number", aegis.environment_create(0, 0, parts), Error.BUSY)
    expect("no such number", aegis.environment_create(0, 64, parts), Error.BAD_ARGUMENT)
    frame = parts[3]
    parts[3] = parts[7]
    expect("a frame twice", aegis.environment_create(0, 20, parts), Error.NOT_OWNER)
    parts[3] = 1
    expect("another's frame", aegis.environment_create(0, 20, parts), Error.NOT_OWNER)
    parts[3] = frame
    expect("now it works", aegis.environment_create(0, 20, parts), 20)
    expect("slot taken", aegis.environment_create(0, 21, parts), Error.IN_USE)
    expect("no node", aegis.environment_give(0, CODE, u64(aegis.frame_claim(abi.ANY)), Right.READ), Error.NO_NODE)
    expect("not our frame", aegis.environment_give(0, 0x3F0, 1, Right.READ), Error.NOT_OWNER)
    public = aegis.system_page().bundle_frame
    expect("public", aegis.environment_give(0, 0x3F0, public, Right.READ), 0)
    expect("public, again", aegis.environment_give(0, 0x3F1, public, Right.EXECUTE), 0)
    expect("public, to write", aegis.environment_give(0, 0x3F1, public, Right.WRITE), Error.NOT_OWNER)
    expect("still nobody's", i64(aegis.frame_entry(public).owner), abi.FRAME_KERNEL)
    expect("both", aegis.environment_give(0, 0x3F0, 1, Right.WRITE | Right.EXECUTE), Error.BAD_ARGUMENT)
    expect("kernel address", aegis.environment_start(0, 0xFFFFFFFF80200000, 0), Error.BAD_ARGUMENT)
    name = u64(Kind.ENVIRONMENT) << abi.NAME_INDEX_BITS | 20
    rights = u64(aegis.system_page().environments[20].generation) << 32 | Right.WRITE
    mac = aegis.capability_mint(name, rights)
    expect("mint", i64(mac >= 0), 1)
    expect("bind by capability", aegis.bind(1, name, rights, u64(mac)), 0)
    weak = rights - Right.WRITE
    weak_mac = u64(aegis.capability_weaken(name, rights, u64(mac), weak))
    expect("a weak one", aegis.bind(2, name, weak, weak_mac), 0)
    expect("too weak", aegis.environment_end(2, 0), Error.NOT_PERMITTED)
    expect("end by capability", aegis.environment_end(1, 0), 0)
    expect("stale", aegis.environment_end(0, 0), Error.NOT_PERMITTED)
    aegis.unbind(0)
    aegis.unbind(2)
    expect("stale capability", aegis.bind(1, name, rights, u64(mac)), 0)
    expect("ends nobody", aegis.environment_end(1, 0), Error.NOT_PERMITTED)
    aegis.unbind(1)


def main() -> None:
    aegis.tlb_node(SCRATCH, u64(aegis.frame_claim(abi.ANY)))
    refusals()
    public()
    shares()
    cycles()
    print("done")
