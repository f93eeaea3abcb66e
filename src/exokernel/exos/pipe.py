# SPDX-License-Identifier: MIT
"""Pipes: bytes from one environment to another, through a ring in one shared page. Who finds the ring full, or empty,
gives its slice to the partner (SOSP 1995, 6.1).

The ring belongs to the reader, so what a writer wrote before it closed, or ended, is still read. Each side counts for
itself and publishes its count; of the other's count it believes nothing that the ring's size does not allow, so a
partner that writes nonsense can spoil the bytes and end the pipe, nothing else. `write` and `read` are ordinary
functions; `put` and `get` move one word, inlined at the call site (the paper's pipe').
"""

from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis, shared
from exokernel.exos.shared import Capability
from exokernel.metal import *

CAPACITY = 2048  # bytes in the ring, a power of two
CLOSED = 1 << 63  # in a count: its side has closed
FIRST = 2 * CAPACITY  # where counts begin, so that a page of zeros is no ring
WORD = 8

# Answers beside those of the kernel.
BROKEN = -100  # the reader has closed, or this end is closed
CORRUPT = -101  # the partner's count makes no sense


@struct(volatile=True)
class Ring:
    written: u64  # bytes so far, and CLOSED; the writer's
    apart: Array[u8, 56]
    taken: u64  # the same of the reader
    apart_too: Array[u8, 56]


@struct
class End:
    """One end of a pipe. It must be opened before anything else; if that fails it is closed."""

    ring: Ptr[Ring]  # its bytes are behind it
    partner: u64
    count: u64  # FIRST, and the bytes that went through this end


shut: Ring = Ring(CLOSED, Array[u8, 56](), CLOSED, Array[u8, 56]())  # of closed ends: both partners have closed


# ---- the ring as arithmetic


@inline
def readable(written: u64, count: u64) -> i64:
    """How many bytes are there for a reader that has taken `count`: up to CAPACITY; 0: none yet; BROKEN: none, and the
    writer has closed; CORRUPT.
    """
    there = written - count
    if there > CAPACITY:
        there -= CLOSED  # wraps unless it was set
        if there > CAPACITY:
            return CORRUPT
        if there == 0:
            return BROKEN
    return i64(there)


@inline
def writable(taken: u64, count: u64) -> i64:
    """How many bytes there is room for, for a writer that has written `count`: up to CAPACITY; 0: none; BROKEN: the
    reader has closed; CORRUPT.
    """
    there = count - taken
    if there > CAPACITY:
        return BROKEN if taken & CLOSED else CORRUPT
    return i64(CAPACITY - there)


# ---- opening and closing


def open_reader(end: End, writer: u64, key: u64) -> i64:
    """Make a pipe from the partner `writer`, who opens it with the same key. Returns 0 or an error of shared's."""
    attach(end, u64(addr(shut)), writer, 0)
    address = shared.create(1)
    if address < 0:
        return address
    attach(end, u64(address), writer, FIRST)
    end.ring[0].written = FIRST
    end.ring[0].taken = FIRST
    capability = Capability()
    shared.offer(u64(address), Right.WRITE, capability)
    result = shared.publish(key, writer, capability)
    if result != 0:
        close_reader(end)
    return result


def open_writer(end: End, reader: u64, key: u64) -> i64:
    """Open the pipe that the partner `reader` makes, waiting for it. Returns 0, PARTNER_LOST or an error of shared's."""
    attach(end, u64(addr(shut)), reader, 0)
    found = Array[Capability, 1]()
    result = shared.find(reader, key, found[0])
    if result == 0:
        result = shared.accept(found, Right.WRITE)
    if result < 0:
        return result
    attach(end, u64(result), reader, FIRST)
    return 0


def attach(end: End, address: u64, partner: u64, count: u64) -> None:
    """Make an end of a ring, however it was come by; the count of a new one is FIRST."""
    end.ring = Ptr[Ring](address)
    end.partner = partner
    end.count = count


def close_writer(end: End) -> None:
    """No more is written: the reader reads what is there and then finds the end. Closing twice is nothing."""
    end.ring[0].written = end.count | CLOSED
    close_reader(end)  # the same but for this word


def close_reader(end: End) -> None:
    """No more is read: the ring is gone, and the writer's next write is BROKEN. Closing twice is nothing."""
    if u64(end.ring) != u64(addr(shut)):
        shared.end(u64(end.ring), 1)
        attach(end, u64(addr(shut)), end.partner, 0)


# ---- waiting


@noinline
def await_bytes(end: End) -> i64:
    """Wait for the writer. Returns how many bytes there are; BROKEN when it has closed and there are none; CORRUPT;
    PARTNER_LOST.
    """
    there = readable(end.ring[0].written, end.count)
    while there == 0:
        going = shared.rest(end.partner, u64(end.ring), aegis.yield_to(end.partner))
        there = readable(end.ring[0].written, end.count)  # the last thing that it did counts
        if there == 0 and not going:
            return Error.PARTNER_LOST
    return there


@noinline
def await_room(end: End) -> i64:
    """Wait for the reader. Returns for how many bytes there is room; an error as `write`."""
    room = writable(end.ring[0].taken, end.count)
    while room == 0 and shared.rest(end.partner, u64(end.ring), aegis.yield_to(end.partner)):
        room = writable(end.ring[0].taken, end.count)
    if room > 0 or room == BROKEN or not shared.lost(end.partner, u64(end.ring)):
        return room
    return BROKEN if shared.alive(end.partner) else i64(Error.PARTNER_LOST)  # whatever the page of zeros says


# ---- one word, inlined


@inline
def fits(count: u64) -> bool:
    """Whether a word at this count does not reach around the ring's edge."""
    return count % CAPACITY <= CAPACITY - WORD


@inline
def put(end: End, word: u64) -> i64:
    """`write` of one word. The pipe may carry messages of other sizes too."""
    ring = end.ring
    count = end.count
    if count - ring[0].taken > CAPACITY - WORD or not fits(count):
        return put_apart(end, word)
    Ptr[u64](place(ring, count))[0] = word
    compiler_barrier()
    end.count = count + WORD
    ring[0].written = count + WORD
    return 0


@inline
def get(end: End) -> tuple[u64, i64]:
    """One word, and 0 or an error as of `read_all`."""
    if end.ring[0].written == end.count:
        aegis.yield_to(end.partner)
    if no_word(end) or not fits(end.count):
        return get_apart(end)
    return take_word(end), 0


@inline
def no_word(end: End) -> bool:
    return end.ring[0].written - end.count - WORD > CAPACITY - WORD


@inline
def take_word(end: End) -> u64:
    ring = end.ring
    count = end.count
    compiler_barrier()
    word = Ptr[u64](place(ring, count))[0]
    compiler_barrier()
    end.count = count + WORD
    ring[0].taken = count + WORD
    return word


@noinline
def put_apart(end: End, word: u64) -> i64:
    """When there is no room, or only around the edge."""
    words = Array[u64, 1]([word])
    return write_apart(end, Span[u8](Ptr[u8](addr(words)), WORD))


@noinline
def get_apart(end: End) -> tuple[u64, i64]:
    """When there is no word, or only around the edge."""
    words = Array[u64, 1]()
    error = read_all(end, Span[u8](Ptr[u8](addr(words)), WORD))
    return words[0], error


@inline
def place(ring: Ptr[Ring], count: u64) -> Ptr[u8]:
    """Where byte number `count` is in a ring."""
    return Ptr[u8](u64(ring) + sizeof(Ring) + count % CAPACITY)


# ---- any number of bytes


@noinline
def write(end: End, data: Span[u8]) -> i64:
    """Write all of `data`, however long it is, waiting for room. Returns 0, or BROKEN when the reader has closed or
    this end is closed; PARTNER_LOST when it ended without; CORRUPT.
    """
    if len(data) == WORD:
        return put(end, Ptr[u64](addr(data[0]))[0])
    return write_apart(end, data)


@noinline
def write_apart(end: End, data: Span[u8]) -> i64:
    """When it is not simply a word."""
    at: u64 = 0
    while at != len(data):
        room = writable(end.ring[0].taken, end.count)
        if room <= 0:
            room = await_room(end)
            if room < 0:
                return room
        size = min(u64(room), len(data) - at)
        copy_in(end, data[at : at + size])
        at += size
    return 0


@noinline
def read(end: End, data: Span[u8]) -> i64:
    """Read what is there into `data`, waiting for at least one byte. Returns how many; 0 at the end, after the writer
    has closed; PARTNER_LOST when it ended without; CORRUPT.
    """
    if end.ring[0].written == end.count:
        return read_later(end, data)
    return read_now(end, data)


@noinline
def read_later(end: End, data: Span[u8]) -> i64:
    """When there is nothing yet."""
    aegis.yield_to(end.partner)
    return read_now(end, data)


@inline
def read_now(end: End, data: Span[u8]) -> i64:
    if len(data) != WORD or no_word(end) or not fits(end.count):
        return read_apart(end, data)
    Ptr[u64](addr(data[0]))[0] = take_word(end)
    return WORD


@noinline
def read_apart(end: End, data: Span[u8]) -> i64:
    """When it is not simply a word."""
    if len(data) == 0:
        return 0
    there = readable(end.ring[0].written, end.count)
    if there <= 0:
        there = await_bytes(end)
        if there <= 0:
            return there if there != BROKEN else 0
    size = min(u64(there), len(data))
    copy_out(end, data[:size])
    return i64(size)


def read_all(end: End, data: Span[u8]) -> i64:
    """Fill `data`. Returns 0; BROKEN when the end came before; PARTNER_LOST; CORRUPT."""
    at: u64 = 0
    while at < len(data):
        size = read(end, data[at:])
        if size <= 0:
            return size if size < 0 else BROKEN
        at += u64(size)
    return 0


@noinline
def copy_in(end: End, data: Span[u8]) -> None:
    """Bytes for which there is room."""
    first = min(len(data), CAPACITY - end.count % CAPACITY)
    Span[u8](place(end.ring, end.count), first).copy_from(data[:first])
    Span[u8](place(end.ring, 0), len(data) - first).copy_from(data[first:])
    compiler_barrier()
    end.count += len(data)
    end.ring[0].written = end.count


@noinline
def copy_out(end: End, data: Span[u8]) -> None:
    """Bytes that are there."""
    compiler_barrier()
    first = min(len(data), CAPACITY - end.count % CAPACITY)
    data[:first].copy_from(Span[u8](place(end.ring, end.count), first))
    data[first:].copy_from(Span[u8](place(end.ring, 0), len(data) - first))
    compiler_barrier()
    end.count += len(data)
    end.ring[0].taken = end.count
