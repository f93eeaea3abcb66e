# SPDX-License-Identifier: MIT
"""The slice clock: the local APIC's timer, periodic, and how fast the timestamp counter runs compared with it.

QEMU's APIC timer counts nanoseconds (1 GHz undivided), in software emulation and under KVM; that is our only
reference, so nothing has to wait for a slower clock at boot. Source: SDM volume 3, 11.5.4.
"""

from exokernel.machine import cpu, interrupts
from exokernel.metal import Ptr, struct, u32, u64, volatile_load

FREQUENCY = 1_000_000_000  # timer ticks per second
DEFAULT_SLICE = 1_000_000  # timer ticks: 1 ms
SHORTEST_SLICE = 10_000

LOCAL_VECTOR = interrupts.LOCAL_APIC + 0x320
INITIAL_COUNT = interrupts.LOCAL_APIC + 0x380
CURRENT_COUNT = interrupts.LOCAL_APIC + 0x390
DIVIDE = interrupts.LOCAL_APIC + 0x3E0
UNDIVIDED = 0xB
PERIODIC = 1 << 17
LONGEST = 0xFFFFFFFF
SHORTEST_STRETCH, LONGEST_STRETCH = 20_000, 20_000_000  # timer ticks a measurement lasts
READINGS = 8  # of which the best is taken
WORST = 0xFFFFFFFFFFFFFFFF  # doubt
PRECISION = 500  # a stretch is long enough when the doubt at its two ends is at most this part of it


@struct
class Reading:
    """The timer was read between two timestamps: what is in doubt is where between them."""

    count: u32  # of the timer, which runs down
    timestamp: u64  # in the middle
    doubt: u64  # timestamps


def read(best: Reading) -> None:
    """Fills in the closest of some readings. In software emulation one can take microseconds, the first always does."""
    best.doubt = WORST
    for _ in range(READINGS):
        before = cpu.read_timestamp()
        count = volatile_load(Ptr[u32](CURRENT_COUNT))
        doubt = cpu.read_timestamp() - before
        if doubt < best.doubt:
            best.count, best.timestamp, best.doubt = count, before + doubt // 2, doubt


def timestamp_frequency() -> u64:
    """Timestamps per second, to PRECISION or as near as a stretch of LONGEST_STRETCH comes."""
    interrupts.write_register(DIVIDE, UNDIVIDED)
    interrupts.write_register(LOCAL_VECTOR, interrupts.MASKED)
    interrupts.write_register(INITIAL_COUNT, LONGEST)
    first, last = Reading(0, 0, 0), Reading(0, 0, 0)
    read(first)
    read(last)
    while first.count - last.count < SHORTEST_STRETCH or (
        (first.doubt + last.doubt) // 2 * PRECISION > last.timestamp - first.timestamp
        and first.count - last.count < LONGEST_STRETCH
    ):
        read(last)
    interrupts.write_register(INITIAL_COUNT, 0)
    return (last.timestamp - first.timestamp) * FREQUENCY // u64(first.count - last.count)


def start(ticks: u32) -> None:
    """Interrupts at vector TIMER every `ticks` timer ticks from now on."""
    interrupts.write_register(LOCAL_VECTOR, PERIODIC | interrupts.TIMER)
    set_period(ticks)


def set_period(ticks: u32) -> None:
    """Changes the period; the next interrupt comes after one whole period."""
    interrupts.write_register(INITIAL_COUNT, ticks)


def ticks_for(timestamps: u64, frequency: u64) -> u32:
    """How many timer ticks a time in timestamps takes, rounded up; at least SHORTEST_SLICE, at most two seconds."""
    if timestamps >= 2 * frequency:
        return 2 * FREQUENCY
    return u32(max(timestamps * FREQUENCY // frequency + 1, SHORTEST_SLICE))
