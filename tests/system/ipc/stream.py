# SPDX-License-Identifier: MIT
"""Pairs of environments send each other messages of many sizes through two pipes, and words between them. Environment
2n writes first; each checks every byte that it reads, then the end of the file, then that the other cannot be written
to any more.
"""

from stage import next_random, wait_for_others

from exokernel.exos import aegis, pipe, shared
from exokernel.exos.pipe import BROKEN, CAPACITY, End
from exokernel.metal import Array, u8, u64

LONGEST = 5 * CAPACITY
MESSAGES = 120
incoming: End = End()
outgoing: End = End()
buffer: Array[u8, LONGEST] = Array[u8, LONGEST]()


def size_of(seed: u64) -> u64:
    """Mostly small, sometimes several rings."""
    kind = seed >> 60
    if kind < 4:
        return seed >> 33 & 7
    if kind < 10:
        return seed >> 33 & 63
    if kind < 14:
        return (seed >> 33) % (CAPACITY + 10)
    return (seed >> 33) % LONGEST


def send(seed: u64) -> u64:
    """Everything; the sizes and the bytes come from the seed."""
    for _ in range(MESSAGES):
        seed = next_random(seed)
        size = size_of(seed)
        for i in range(size):
            buffer[i] = u8(seed >> 40) + u8(i)
        assert pipe.write(outgoing, buffer[:size]) == 0
        assert pipe.put(outgoing, seed) == 0
    return seed


def receive(seed: u64) -> u64:
    """The same, read in other pieces."""
    pieces = seed ^ 12345
    for _ in range(MESSAGES):
        seed = next_random(seed)
        size = size_of(seed)
        at: u64 = 0
        while at < size:
            pieces = next_random(pieces)
            wanted = min(size - at, size_of(pieces) + 1)
            got = pipe.read(incoming, buffer[at : at + wanted])
            assert got >= 1 and u64(got) <= wanted
            at += u64(got)
        for i in range(size):
            assert buffer[i] == u8(seed >> 40) + u8(i), "a byte is wrong"
        word, error = pipe.get(incoming)
        assert error == 0 and word == seed, "a word is wrong"
    return seed


def main() -> None:
    me = aegis.environment_page().identifier
    first = me & 1 == 0
    partner = shared.partner(me ^ 1)
    assert pipe.open_reader(incoming, partner, 7) == 0
    assert pipe.open_writer(outgoing, partner, 7) == 0
    if first:
        send(me)
        receive(me)
    else:
        receive(me ^ 1)
        send(me ^ 1)
    pipe.close_writer(outgoing)
    pipe.close_writer(outgoing)
    assert pipe.write(outgoing, buffer[:1]) == BROKEN and pipe.put(outgoing, 1) == BROKEN
    assert pipe.read(incoming, buffer) == 0, "no end of the file"
    assert pipe.read(incoming, buffer) == 0
    word, error = pipe.get(incoming)
    assert word == 0 and error == BROKEN
    pipe.close_reader(incoming)
    assert pipe.read(incoming, buffer) == 0
    print("done", me)
    if me == 0:
        wait_for_others()
