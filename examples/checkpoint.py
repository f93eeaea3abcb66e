# SPDX-License-Identifier: MIT
"""A computation that keeps checkpoints of itself: a child, made by fork, has the whole state of that instant, and only the
pages that are written afterwards are ever copied. Here the state is a sieve of Eratosthenes. The checkpoints are looked
at when the computation is finished, so each shows an instant that is long gone.

Run it with: ./exo run examples/checkpoint.py

It prints the result, and then one line from each checkpoint.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import PAGE_BYTES, Right
from exokernel.exos import aegis, process, vm
from exokernel.metal import Array, Ptr, Span, i64, u8, u64, volatile_load, volatile_store

SIEVE = 0x2000_0000  # a byte for each number below LIMIT: 1 if a smaller one divides it
LIMIT = 400_000
BOARD = 0x2200_0000  # a page that stays the same memory in parent and children
CHECKPOINTS = 4
FIRST_PRIMES = b"\2\3\7\37"  # after which of them a checkpoint is made


def sieve() -> Span[u8]:
    return Span[u8](Ptr[u8](SIEVE), LIMIT)


def finished() -> Ptr[u64]:
    """On the board: 1 when the computation is at its end."""
    return Ptr[u64](BOARD)


def cross_out(prime: u64) -> None:
    """The multiples of a prime are none."""
    multiple = prime * prime
    while multiple < LIMIT:
        sieve()[multiple] = 1
        multiple += prime


def candidates() -> u64:
    """How many numbers are not crossed out so far."""
    count: u64 = 0
    for number in range(2, LIMIT):
        count += u64(sieve()[number] == 0)
    return count


def keep(prime: u64, left: u64) -> i64:
    """Makes a checkpoint: returns its process number, or an error."""
    child = process.fork()
    if child != 0:
        return child
    while volatile_load(finished()) == 0:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print(f"checkpoint after {prime}: {candidates()} numbers not crossed out, as there were {left}")
    process.exit(i64(candidates() == left))


def main() -> i64:
    vm.reserve(BOARD // PAGE_BYTES, 1, Right.WRITE, vm.Flag.SHARED, vm.refuse)
    vm.commit(BOARD // PAGE_BYTES, 1)
    vm.reserve(SIEVE // PAGE_BYTES, LIMIT // PAGE_BYTES + 1, Right.WRITE, vm.Flag.DEMAND, vm.refuse)
    checkpoints = Array[i64, CHECKPOINTS]()
    made: u64 = 0
    number: u64 = 2
    while number * number < LIMIT:
        if sieve()[number] == 0:
            cross_out(number)
            if made < CHECKPOINTS and number == FIRST_PRIMES[made]:
                checkpoints[made] = keep(number, candidates())
                if checkpoints[made] < 0:
                    print("no checkpoint: error", checkpoints[made])
                    return 1
                made += 1
        number += 1
    print(f"{candidates()} primes below {LIMIT}; {vm.state.copied} times a page was copied for a checkpoint")
    volatile_store(finished(), 1)
    for child in checkpoints:
        _, status = process.wait(u64(child))
        if status != 1:
            print(f"checkpoint {child} did not keep its state: {status}")
            return 1
    return 0
