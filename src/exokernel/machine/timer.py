# SPDX-License-Identifier: MIT
"""The slice clock: the local APIC's timer, periodic, and how fast the timestamp counter runs compared with it.

QEMU's APIC timer counts nanoseconds (1 GHz undivided), in software emulation and under KVM; that is our only
reference, so nothing has to wait for a slower clock at boot. Source: SDM volume 3, 11.5.4.
"""

from exokernel.machine import cpu, interrupts
from exokernel.metal import Ptr, u32, u64, volatile_load

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
CALIBRATION = 20_000  # timer ticks


def measure_once() -> u64:
    """Timestamps per second, from one stretch of CALIBRATION timer ticks."""
    current = Ptr[u32](CURRENT_COUNT)
    first = volatile_load(current)
    start = cpu.read_timestamp()
    last = volatile_load(current)
    while first - last < CALIBRATION:
        last = volatile_load(current)
    elapsed = cpu.read_timestamp() - start
    return elapsed * FREQUENCY // u64(first - last)


def timestamp_frequency() -> u64:
    """Timestamp-counter ticks per second. The middle of three measurements, in case the host was busy during one."""
    interrupts.write_register(DIVIDE, UNDIVIDED)
    interrupts.write_register(LOCAL_VECTOR, interrupts.MASKED)
    interrupts.write_register(INITIAL_COUNT, LONGEST)
    a = measure_once()
    b = measure_once()
    c = measure_once()
    interrupts.write_register(INITIAL_COUNT, 0)
    return max(min(a, b), min(max(a, b), c))


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
