# SPDX-License-Identifier: MIT
"""Environment 1 reads a little, closes, and lives on: environment 0 is told at its next write, or in the middle of one;
many times over, so that nothing is used up.
"""

from stage import expect

from exokernel.aegis import abi
from exokernel.exos import aegis, pipe, shared
from exokernel.exos.pipe import BROKEN, CAPACITY, End
from exokernel.metal import Array, u8

ROUNDS = 300  # more than there are binding slots
LITTLE = 100
end: End = End()
signal: End = End()
buffer: Array[u8, 5 * CAPACITY] = Array[u8, 5 * CAPACITY]()


def write() -> None:
    reader = shared.partner(1)
    expect("signal", pipe.open_reader(signal, reader, 1) == 0)
    for i in range(ROUNDS):
        expect("open", pipe.open_writer(end, reader, 1000 + i) == 0)
        if i % 3 == 0:
            expect("in the middle", pipe.write(end, buffer) == BROKEN)
        elif i % 3 == 1:
            expect("a little", pipe.write(end, buffer[:LITTLE]) == 0)
            word, error = pipe.get(signal)
            expect("the next word", error == 0 and word == i and pipe.put(end, 1) == BROKEN)
        else:
            expect("a little", pipe.write(end, buffer[: LITTLE + 50]) == 0)
            word, error = pipe.get(signal)
            expect("the next byte", error == 0 and word == i and pipe.write(end, buffer[:1]) == BROKEN)
        expect("still", pipe.write(end, buffer[:LITTLE]) == BROKEN and pipe.put(end, 1) == BROKEN)
        expect("and the reader lives", shared.alive(reader))
        pipe.close_writer(end)
    print("done")


def read() -> None:
    writer = shared.partner(0)
    expect("signal", pipe.open_writer(signal, writer, 1) == 0)
    for i in range(ROUNDS):
        expect("open", pipe.open_reader(end, writer, 1000 + i) == 0)
        expect("read", pipe.read_all(end, buffer[:LITTLE]) == 0)
        pipe.close_reader(end)
        shared.withdraw(1000 + i)
        if i % 3 != 0:
            expect("signal", pipe.put(signal, i) == 0)
    while True:
        aegis.yield_to(abi.ANY_ENVIRONMENT)


def main() -> None:
    if aegis.environment_page().identifier == 0:
        write()
    else:
        read()
