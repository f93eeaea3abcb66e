# SPDX-License-Identifier: MIT
"""Handlers that ask for something, each for its UDP port, and what arrives of it. Environment 1, a child, sleeps until a
handler wakes it. A datagram to port 9 ends the machine.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom, Error
from exokernel.aegis.handler_abi import HandlerCount, HandlerTable
from exokernel.exos import aegis, ash, console, process
from exokernel.exos.arguments import Arguments
from exokernel.exos.net import packets
from exokernel.metal import Array, Ptr, Span, addr, aligned, atomic_and, compiler_barrier, i64, struct, u8, u32, u64

FIRST = 1000
PROGRAMS = ["handler_sleeper.py"]


@struct
class State:
    """What the handlers leave for the application; a page."""

    runs: u64
    sum: u64
    failed: u64
    clock: u64
    unused: Array[u8, 4096 - 32]


def copies(context: ash.Context) -> u32:
    """Five copies, of which four fit: the payload, whose checksum is noted, the first byte, and two more."""
    frame = ash.packet(context)
    state = Ptr[State](ash.state())[0]
    state.runs += 1
    if len(frame) < 62:
        return ash.Action.DROP
    state.sum = ash.copy(frame[42:], 7)
    ash.copy(frame[42:43], 8)
    ash.copy(frame[14:34], 9)
    ash.copy(frame[:14], 0xFFFFFFFF)
    state.failed = ash.copy(frame, 11)
    return ash.Action.DROP


def passes(context: ash.Context) -> u32:
    """One copy, then the frame itself, changed."""
    frame = ash.packet(context)
    if len(frame) < 62:
        return ash.Action.DROP
    ash.copy(frame[42:46], 1)
    frame[42] = 0x21
    return ash.Action.PASS


def sends(context: ash.Context) -> u32:
    """Three frames: two of its own, and the one that came."""
    frame = ash.packet(context)
    if len(frame) < 62:
        return ash.Action.DROP
    frame[42] = 1
    ash.transmit(frame)
    frame[42] = 2
    ash.transmit(frame[:60])
    ash.transmit(frame[:13])
    frame[42] = 3
    return ash.Action.TX


def fails(context: ash.Context) -> u32:
    """Asks for everything, changes its state, then reads what is not its own."""
    frame = ash.packet(context)
    state = Ptr[State](ash.state())[0]
    if len(frame) < 62:
        return ash.Action.DROP
    ash.copy(frame, 5)
    ash.transmit(frame)
    ash.wake(1)
    state.runs += 100
    return u32(Ptr[u8](u64(context.data_end))[0])


def lies(context: ash.Context) -> u32:
    """Copies from behind its packet."""
    frame = ash.packet(context)
    return u32(ash.copy(Span[u8](Ptr[u8](addr(frame[0])), len(frame) + 1), 1)) & 0


def wakes(context: ash.Context) -> u32:
    """Environment 1, the owner, and two that it may not."""
    state = Ptr[State](ash.state())[0]
    state.clock = ash.clock()
    state.failed = u64(ash.wake(1)) | u64(ash.wake(2)) << 1 | u64(ash.run(64)) << 2 | u64(ash.wake(0)) << 3
    return ash.Action.DROP


HANDLERS = (copies, passes, sends, fails, lies, wakes)
COUNT = len(HANDLERS)
ATOMS: Final[Array[Atom, COUNT + 1]] = Array[Atom, COUNT + 1](
    [packets.listed(packets.field(36, 16) == port)[0] for port in (*range(FIRST, FIRST + COUNT), 9)]
)
_PROGRAMS = [ash.program(handler) for handler in HANDLERS]
programs: Final[ash.Program] = b"".join(_PROGRAMS)
starts: Final[Array[u32, COUNT + 1]] = Array[u32, COUNT + 1]([sum(map(len, _PROGRAMS[:i])) for i in range(COUNT + 1)])
TABLE = 0x18000000 // abi.PAGE_BYTES
ring: abi.ReceiveRing = abi.ReceiveRing()
state: State = aligned(4096, State())
handlers: Array[u64, COUNT] = Array[u64, COUNT]()


def bind(place: u64) -> i64:
    return aegis.filter_bind(u64(addr(ring)), u64(addr(ATOMS[place])), 1, abi.ANY)


def show() -> bool:
    """What is in the ring; False at the end."""
    going = True
    while ring.indices.producer != ring.indices.consumer:
        compiler_barrier()
        slot = ring.slots[ring.indices.consumer % abi.RING_SLOTS]
        going = going and not (slot.tag == 0 and slot.data[36] == 0 and slot.data[37] == 9)
        print(f"slot {slot.tag:x} {slot.length} {slot.data[0]:02x} {slot.data[42]:02x}")
        compiler_barrier()
        ring.indices.consumer += 1
    return going


def main() -> None:
    state.runs = 0  # so that the page is there
    child = process.spawn_apart(b"handler_sleeper", Arguments())
    memory = Span[u8](Ptr[u8](u64(addr(state))), 4096)
    for i in range(COUNT):
        handler = ash.attach_with(bind(i), programs[starts[i] : starts[i + 1]], memory)
        handlers[i] = u64(handler)
        if handler < 0:
            print("refused", i, handler)
    for i in range(COUNT):
        if ash.allow(i64(handlers[i]), u64(child)) != 0 or ash.handler_allow(handlers[i], 5) != Error.NOT_PERMITTED:
            print("allowed", child)
    bind(COUNT)
    print("ready")
    page = aegis.environment_page()
    ended: u64 = 0
    while show():
        console.flush()
        events = aegis.wait(abi.FOREVER)
        atomic_and(addr(page.pending), 0)
        if page.handler_end.count != ended:
            ended = page.handler_end.count
            ash.report()
        print(f"state {state.runs} {state.sum:x} {state.failed:x} {u64(state.clock != 0)} events {events}")
    for i in range(COUNT):
        print("counts", i, end="")
        for count in range(u64(len(HandlerCount))):
            print(f" {ash.handler_count(handlers[i], count)}", end="")
        print("")
    look(TABLE)


def look(page: u64) -> None:
    """How many of the counts differ in the table that everybody may read."""
    aegis.tlb_node(page, u64(aegis.frame_claim_table(abi.ANY)))
    print("table", ash.show(page), end=" ")
    table = Ptr[HandlerTable](page * abi.PAGE_BYTES)[0]
    differ: u64 = 0
    for name in handlers:
        entry = table.entries[name & 0xFFFF_FFFF]
        differ += u64(entry.owner != aegis.environment_page().identifier or entry.generation != name >> 32)
        for count in range(u64(len(HandlerCount))):
            differ += u64(i64(entry.counts[count]) != ash.handler_count(name, count))
    print("differ", differ, "writable", aegis.table_entry(page).writable)
