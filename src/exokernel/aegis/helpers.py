# SPDX-License-Identifier: MIT
"""What handlers can call: each helper gets r1 to r3 and the record of the run, and gives r0.

Effects are staged: a copy lies in a place that nobody has been told of, a frame where frames are put together, and a
wake is a bit. Who runs the handler makes all of them real when it has returned, and none when it was ended. The only
memory of a handler's that is followed here is what `reach` has found to lie in its arena. Pure: all that these functions
know is in the record. Their work is bounded: EFFECTS copies and frames of at most one packet each.
"""

from exokernel.aegis.abi import ENVIRONMENTS, TRANSMIT_LIMIT
from exokernel.aegis.ebpf import DEPTH, FAILED, FRAME_BYTES, Reason
from exokernel.aegis.translation import NOBODY, RECORD, Record
from exokernel.metal import Ptr, addr, byte_swap, inline, u8, u16, u32, u64

SHORTEST_FRAME = 14


def clock(first: u64, second: u64, third: u64, record: Record) -> u64:
    """As the record says."""
    return record.clock


def copy(address: u64, length: u64, tag: u64, record: Record) -> u64:
    """Puts bytes of the packet, the frame or the state where the owner will find them; their checksum comes with it, in the
    same pass. FAILED: there is no room, or the length is 0 or more than TRANSMIT_LIMIT.
    """
    if length == 0 or length > TRANSMIT_LIMIT or record.copies >= record.copy_room:
        return FAILED
    source = reach(address, length, record)
    if source == 0:
        return FAILED
    number = record.copies
    record.copied[number] = u32(length)
    record.tags[number] = u32(tag)
    record.copies += 1
    return copy_and_sum(record.copy_to[number], source, length)


def transmit(address: u64, length: u64, third: u64, record: Record) -> u64:
    """Stages a whole Ethernet frame. FAILED: there were EFFECTS, or it has no length of a frame."""
    if length < SHORTEST_FRAME or length > TRANSMIT_LIMIT or record.sends >= record.send_room:
        return FAILED
    source = reach(address, length, record)
    if source == 0:
        return FAILED
    number = record.sends
    record.sent[number] = u32(length)
    record.sends += 1
    copy_and_sum(record.send_from[number], source, length)
    return 0


def wake(identifier: u64, second: u64, third: u64, record: Record) -> u64:
    """FAILED: the owner may not wake it."""
    if identifier >= ENVIRONMENTS or record.may_wake >> identifier & 1 == 0:
        return FAILED
    record.woken |= u64(1) << identifier
    return 0


def run(identifier: u64, second: u64, third: u64, record: Record) -> u64:
    """As `wake`; the last one that was asked for counts."""
    if wake(identifier, 0, 0, record) != 0:
        return FAILED
    record.next = identifier
    return 0


@inline
def reach(address: u64, length: u64, record: Record) -> u64:
    """The address of bytes that a handler may read; 0, and the handler is to be ended, if they are not all its own."""
    first = address & 0xFFFFFFFF
    last = first + length
    if (
        (first >= record.lowest and last <= record.end)
        or (first >= record.frames and last <= record.frames + DEPTH * FRAME_BYTES)
        or (first >= record.state and last <= record.state + record.state_bytes and record.state != 0)
    ):
        return u64(addr(record)) + RECORD + first
    record.ended = Reason.WILD_ACCESS
    return 0


def copy_and_sum(to: u64, source: u64, length: u64) -> u64:
    """Copies and adds up in one pass: the 16-bit one's complement sum (RFC 1071), 0xffff for what includes a right
    checksum.
    """
    total: u64 = 0
    words = length // 8
    for i in range(words):
        word = Ptr[u64](source)[i]
        Ptr[u64](to)[i] = word
        total += (word & 0xFFFFFFFF) + (word >> 32)
    for i in range(words * 8, length):
        byte = Ptr[u8](source)[i]
        Ptr[u8](to)[i] = byte
        total += u64(byte) << (8 * (i & 1))
    total = (total & 0xFFFFFFFF) + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return u64(byte_swap(u16(total)))


def begin(record: Record) -> None:
    """Nothing is staged."""
    record.ended = 0
    record.copies = 0
    record.sends = 0
    record.woken = 0
    record.next = NOBODY


def install(record: Record) -> None:
    """Where the code of handlers finds the helpers, in the order of `Helper`."""
    record.helpers[0] = u64(clock)
    record.helpers[1] = u64(clock)  # STATE needs no call
    record.helpers[2] = u64(copy)
    record.helpers[3] = u64(transmit)
    record.helpers[4] = u64(wake)
    record.helpers[5] = u64(run)
