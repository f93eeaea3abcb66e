# SPDX-License-Identifier: MIT
"""A producer and a consumer over a pipe, in two environments that share nothing else.

    ./exo run examples/producer_consumer.py examples/producer_consumer.py

The second instance produces numbers in portions of different lengths, the first adds them up. Whoever has to wait gives
its slice to the other. A producer that ends without closing the pipe (make CLOSES False) is not the end of the file but
an error; neither side ever waits for a partner that is gone.
"""

from exokernel.exos import aegis, pipe, shared
from exokernel.exos.pipe import End
from exokernel.metal import Array, Ptr, Span, addr, u8, u64

CONSUMER, PRODUCER = 0, 1  # the numbers of the environments
KEY = 1  # by which the two find the same pipe
NUMBERS = 10000
CLOSES = True

numbers: Array[u64, 500] = Array[u64, 500]()
end: End = End()


def as_bytes(count: u64) -> Span[u8]:
    """The first `count` numbers as what a pipe carries."""
    return Span[u8](Ptr[u8](addr(numbers)), count * 8)


def produce() -> None:
    """0, 1, 2, ... in portions of 1, 2, 3, ... numbers, most of them longer than the pipe's ring."""
    if pipe.open_writer(end, shared.partner(CONSUMER), KEY) != 0:
        print("there is no pipe")
        return
    number: u64 = 0
    portion: u64 = 0
    while number < NUMBERS:
        portion = min(portion + 1, len(numbers), NUMBERS - number)
        for i in range(portion):
            numbers[i] = number + i
        if pipe.write(end, as_bytes(portion)) != 0:
            print("nobody reads any more")
            return
        number += portion
    if CLOSES:
        pipe.close_writer(end)


def consume() -> None:
    """Add up whatever comes, until the end."""
    if pipe.open_reader(end, shared.partner(PRODUCER), KEY) != 0:
        print("no memory for a pipe")
        return
    total: u64 = 0
    count: u64 = 0
    error = pipe.read_all(end, as_bytes(1))
    while error == 0:
        total += numbers[0]
        count += 1
        error = pipe.read_all(end, as_bytes(1))
    if error == pipe.BROKEN:
        print(f"{count} numbers, their sum is {total}")
    else:
        print(f"the producer was lost after {count} numbers: error {error}")
    pipe.close_reader(end)


def main() -> None:
    if aegis.environment_page().identifier == CONSUMER:
        consume()
    else:
        produce()
