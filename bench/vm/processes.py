# SPDX-License-Identifier: MIT
"""Processes, measured from inside. Every line printed is `row number ...`: instructions, by the time-stamp counter under
`-icount shift=0`, in hundredths. exhibit.py says what the rows mean.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis, measure, process, vm
from exokernel.exos.arguments import Arguments
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Ptr, u64, volatile_store

PROGRAMS = ["nothing.py"]
SAMPLES = 31
PAGES = 64
FIRST = 0x20000000 // abi.PAGE_BYTES

samples: Array[u64, SAMPLES] = Array[u64, SAMPLES]()
none: Arguments = Arguments()


def report(row: str) -> None:
    measure.row()
    print(row, end="")
    for sample in samples:
        print("", sample * 100, end="")
    print()


def touch() -> None:
    for page in range(FIRST, FIRST + PAGES):
        volatile_store(Ptr[u64](page * abi.PAGE_BYTES), 1)


def settle() -> None:
    """Let the kernel finish with those that ended."""
    while process.is_somebody_ending():
        aegis.frame_release(u64(aegis.frame_claim(abi.ANY)))
    vm.release_lent()


def measure_process(forked: bool, row: str, part: u64, writes: u64) -> None:
    """`part`: 0 the call alone, 1 all until the status is there, 2 what the kernel has to do after that. A forked child
    writes to so many pages before it ends.
    """
    for i in range(SAMPLES):
        touch()
        settle()
        start = measure.begin()
        number = process.fork() if forked else process.spawn(b"nothing", none)
        if number == 0:
            for page in range(FIRST, FIRST + writes):
                volatile_store(Ptr[u64](page * abi.PAGE_BYTES), 2)
            process.exit(0)
        middle = read_timestamp()
        found, status = process.wait(u64(number))
        end = measure.end()
        settle()
        after = read_timestamp()
        if number <= 0 or found != number or status != 0:
            print("failed:", number, found, status)
        samples[i] = middle - start if part == 0 else (end - start if part == 1 else after - end)
    report(row)


def main() -> None:
    measure.print_frequency()
    vm.reserve(FIRST, PAGES, Right.WRITE, vm.Flag.DEMAND, vm.refuse)
    measure_process(True, "fork", 1, 0)
    measure_process(True, "fork-writing", 1, 1)
    measure_process(True, "fork-call", 0, 0)
    measure_process(True, "fork-after", 2, 0)
    measure_process(False, "spawn", 1, 0)
    measure_process(False, "spawn-call", 0, 0)
