# SPDX-License-Identifier: MIT
"""Environment 0 reads from 1 and writes to 2, which open their ends as they should and then write nonsense over the
ring and its counts, sometimes near the truth. Whatever comes is an answer, and memory beside the buffer stays as it is.
"""

from stage import expect, next_random

from exokernel.aegis import abi
from exokernel.aegis.abi import Error
from exokernel.exos import aegis, pipe, shared
from exokernel.exos.pipe import BROKEN, CAPACITY, CLOSED, CORRUPT, End
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Ptr, i64, sizeof, struct, u8, u64

ROUNDS = 3000
KEY = 5


@struct
class Guarded:
    before: Array[u8, 256]
    data: Array[u8, 3 * CAPACITY]
    after: Array[u8, 256]


buffer: Guarded = Guarded()
end: End = End()
corrupt: u64 = 0
moved: u64 = 0


def follow(base: u64, seen: u64) -> u64:
    """A count of the partner's, as far as it can be true."""
    return seen if seen - base <= CAPACITY else base


def spoil(end: End, writes: bool) -> None:
    """What a hostile partner does: nonsense, and sometimes something near the truth."""
    seed = read_timestamp()
    base: u64 = pipe.FIRST
    for _ in range(ROUNDS):
        seed = next_random(seed)
        base = follow(base, end.ring[0].taken if writes else end.ring[0].written)
        value = seed
        if seed >> 62 == 0:
            value = base + (seed >> 40) % 100
        elif seed >> 62 == 1:
            value = base - (seed >> 40) % (CAPACITY + 50)
        elif seed >> 60 == 8:
            value = CLOSED | base
        if (seed >> 32 & 15 != 0) == writes:
            end.ring[0].written = value
        else:
            end.ring[0].taken = value
        Ptr[u64](u64(end.ring) + sizeof(pipe.Ring))[(seed >> 34) % (CAPACITY // 8)] = seed
        if seed >> 50 & 3:
            aegis.yield_to(0)


def judge(result: i64, most: u64) -> bool:
    """Whether to go on."""
    global corrupt, moved
    if result >= 0:
        expect("no more than asked for", u64(result) <= most)
        moved += 1
        return True
    if result == CORRUPT:
        corrupt += 1
        aegis.yield_to(abi.ANY_ENVIRONMENT)
        return True
    if result == BROKEN:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
        return True
    expect("only lost in the end", result == Error.PARTNER_LOST)
    return False


def victim() -> None:
    global corrupt, moved
    buffer.before.fill(0xAA)
    buffer.after.fill(0xAA)
    seed = read_timestamp()
    writer = shared.partner(1)
    expect("open", pipe.open_reader(end, writer, KEY) == 0)
    going = True
    while going:
        seed = next_random(seed)
        ended = not shared.alive(writer)
        size = (seed >> 40) % (3 * CAPACITY) + 1
        result: i64 = 0
        if seed >> 62 == 0:
            _word, result = pipe.get(end)
            going = judge(result, 0)
        else:
            result = pipe.read(end, buffer.data[:size])
            going = judge(result, size)
        if ended and result <= 0:
            going = False  # what it left behind stays nonsense
    print("read", corrupt > 0, moved > 0)
    pipe.close_reader(end)
    corrupt = 0
    moved = 0
    expect("open", pipe.open_writer(end, shared.partner(2), KEY) == 0)
    going = True
    while going:
        seed = next_random(seed)
        if seed >> 62 == 0:
            going = judge(pipe.put(end, seed), 0)
        else:
            going = judge(pipe.write(end, buffer.data[: (seed >> 40) % (3 * CAPACITY)]), 0)
    pipe.close_writer(end)
    print("written", corrupt > 0, moved > 0)
    for i in range(len(buffer.before)):
        expect("beside the buffer", buffer.before[i] == 0xAA and buffer.after[i] == 0xAA)


def main() -> None:
    me = aegis.environment_page().identifier
    if me == 0:
        victim()
    elif me == 1:
        expect("open", pipe.open_writer(end, shared.partner(0), KEY) == 0)
        spoil(end, True)
    else:
        expect("open", pipe.open_reader(end, shared.partner(0), KEY) == 0)
        while end.ring[0].written == pipe.FIRST:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
        spoil(end, False)
