# SPDX-License-Identifier: MIT
"""Uses the heap until memory runs out, and again after all was given back. The exit status is the number of the check
that failed.
"""

from exokernel.exos import heap
from exokernel.metal import Array, Ptr, Span, i32, u8, u64

BLOCKS = 600  # no multiple of 7, so that i * 7 meets all of them
blocks: Array[Ptr[u8], BLOCKS] = Array[Ptr[u8], BLOCKS]()


def size_of(number: u64, turn: u64) -> u64:
    return 1 + (number * 7919 + turn * 104729) % 6000


def fill_and_check(turn: u64) -> bool:
    """Fill every block with its own pattern, look at all of them, give them back in another order."""
    for i in range(BLOCKS):
        blocks[i] = heap.allocate(size_of(i, turn))
        if not blocks[i]:
            return False
        Span[u8](blocks[i], size_of(i, turn)).fill(u8(i))
    for i in range(BLOCKS):
        for byte in Span[u8](blocks[i], size_of(i, turn)):
            if byte != u8(i):
                return False
    for i in range(BLOCKS):
        heap.release(blocks[i * 7 % BLOCKS])
    return True


def exhaust() -> u64:
    """Take pages until there are no more; give all back; how many they were."""
    count: u64 = 0
    last = Ptr[u64](0)
    while True:
        block = heap.allocate(4096)
        if not block:
            break
        page = Ptr[u64](block)
        page[0] = u64(last)
        last = page
        count += 1
    while last:
        before = Ptr[u64](last[0])
        heap.release(Ptr[u8](last))
        last = before
    return count


def main() -> i32:
    for turn in range(3):
        if not fill_and_check(turn):
            return 1
    first = exhaust()
    print(first, "pages")
    if first == 0 or heap.allocate(0) or heap.allocate(1 << 40):
        return 2
    if exhaust() != first:
        return 3
    if not fill_and_check(9):
        return 4
    heap.release(Ptr[u8](0))
    print("done")
    return 0
