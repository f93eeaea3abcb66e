# SPDX-License-Identifier: MIT
"""150 x 150 integers multiplied, once in memory of a region that gets its pages when they are touched, once in memory
that is there already. Prints `row number ...`: instructions, by the time-stamp counter under `-icount shift=0`.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import measure, vm
from exokernel.metal import Array, Ptr, noinline, u32, u64

SIDE = 150
BYTES = SIDE * SIDE * 4
PAGES = (3 * BYTES + abi.PAGE_BYTES - 1) // abi.PAGE_BYTES
FIRST = 0x20000000 // abi.PAGE_BYTES
SAMPLES = 5

samples: Array[u64, SAMPLES] = Array[u64, SAMPLES]()
results: Array[u64, 2] = Array[u64, 2]()


@noinline
def multiply(memory: u64) -> u64:
    """Fill two matrices, multiply them into a third, and add up what comes out."""
    a = Ptr[u32](memory)
    b = Ptr[u32](memory + BYTES)
    c = Ptr[u32](memory + 2 * BYTES)
    for i in range(SIDE * SIDE):
        a[i] = u32(i % 17)
        b[i] = u32(i % 23)
    total: u64 = 0
    for i in range(SIDE):
        for j in range(SIDE):
            value: u32 = 0
            for k in range(SIDE):
                value += a[i * SIDE + k] * b[k * SIDE + j]
            c[i * SIDE + j] = value
            total += value
    return total


def measure_one(row: str, number: u64, mapped: bool) -> None:
    for i in range(SAMPLES):
        if vm.reserve(FIRST, PAGES, Right.WRITE, vm.Flag.DEMAND, vm.refuse) != 0:
            print("failed: reserve")
        if mapped and vm.commit(FIRST, PAGES) != 0:
            print("failed: commit")
        before = measure.begin()
        results[number] = multiply(FIRST * abi.PAGE_BYTES)
        samples[i] = measure.end() - before
        vm.release(FIRST)
    measure.row()
    print(row, end="")
    for sample in samples:
        print("", sample, end="")
    print()


def main() -> None:
    measure.print_frequency()
    measure_one("multiply", 0, False)
    measure_one("mapped", 1, True)
    if results[0] != results[1]:
        print("failed: different results")
