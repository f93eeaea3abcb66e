# SPDX-License-Identifier: MIT
"""What threads of one environment cost. Every line printed is `row number number ...`: differences of the time-stamp
counter, less that of measuring nothing. Environment 0, alone in the machine.
"""

from exokernel.exos import measure, thread
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, compiler_barrier, noinline, u64

SAMPLES = 101
LONG = 1000  # longer than a switch, shorter than a slice

samples: Array[u64, SAMPLES] = Array[u64, SAMPLES]()
nothing: u64 = 0
taken: u64 = 0
before: u64 = 0
who: u64 = 0
switches: u64 = 0
turn: u64 = LONG
mutex: thread.Mutex = thread.Mutex()


def report(row: str, less: u64) -> None:
    measure.row()
    print(row, end="")
    for sample in samples:
        print("", sample - less, end="")
    print()


@noinline
def measure_nothing() -> None:
    global nothing
    nothing = 1000
    for _ in range(SAMPLES):
        start = measure.begin()
        nothing = min(nothing, measure.end() - start)


@noinline
def measure_mutex() -> None:
    for i in range(SAMPLES):
        start = measure.begin()
        mutex.lock()
        mutex.unlock()
        samples[i] = measure.end() - start


def do_nothing(number: u64) -> u64:
    return 0


@noinline
def measure_create() -> None:
    """One that ends at once, and what it leaves."""
    for i in range(SAMPLES):
        start = read_timestamp()
        one = thread.create(do_nothing, 0, 1)
        thread.join(u64(one))
        samples[i] = read_timestamp() - start
        assert one >= 0


def hand_over(number: u64) -> u64:
    """Two of these: from before `give_way` in one to behind that of the other."""
    global before, taken
    while taken < SAMPLES:
        before = measure.begin()
        thread.give_way()
        now = measure.end()
        if taken < SAMPLES:
            samples[taken] = now - before
            taken += 1
    return 0


def compute(number: u64) -> u64:
    """Two of these: from the last look of one to the first of the other, less one turn of the loop that looks."""
    global before, taken, who, turn, switches
    while taken < SAMPLES:
        compiler_barrier()  # the other one writes these too
        now = read_timestamp()
        elapsed = now - before
        if who == number:
            turn = min(turn, elapsed)
        else:
            if (
                turn < elapsed and elapsed < LONG and taken < SAMPLES
            ):  # neither was interrupted between looking and saying so
                samples[taken] = elapsed
                taken += 1
            who = number
            switches += 1
            for _ in range(switches % 17):  # nor will be for ever, because the loop's length divides a slice's
                compiler_barrier()
        before = now
    return 0


def both(function: thread.Function) -> None:
    global taken, before
    taken = 0
    before = 0
    one = u64(thread.create(function, 0, 1))
    two = u64(thread.create(function, 1, 1))
    thread.join(one)
    thread.join(two)


def main() -> None:
    measure.print_frequency()
    measure_nothing()
    measure_mutex()
    report("mutex-lock-unlock", nothing)
    measure_create()
    report("thread-create-join", nothing)
    both(hand_over)
    report("thread-yield", nothing)
    both(compute)
    report("thread-preempted", turn)
