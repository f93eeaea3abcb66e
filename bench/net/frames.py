# SPDX-License-Identifier: MIT
"""What it costs to hand a frame to the device: copied by the kernel (`network_transmit`) or lent (`network_send`), one or
EIGHT in a call. Every line printed is `length way instructions`, the smallest of ROUNDS, for one frame, with the call
around it and with taking back one that the device has read before.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.exos.net import network
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, addr, aligned, i64, u32, u64

ROUNDS = 10
EIGHT = 8
FAILED = 1 << 60
LENGTHS: Final[Array[u64, 4]] = Array[u64, 4]([60, 256, 600, 1514])
slots: Array[abi.SendSlot, EIGHT] = aligned(4096, Array[abi.SendSlot, EIGHT]())


def settle() -> None:
    """Probably until the device has read everything."""
    start = read_timestamp()
    while read_timestamp() - start < 5_000_000:
        pass


def nothing() -> u64:
    before = read_timestamp()
    return read_timestamp() - before


def copied(length: u64) -> u64:
    """Instructions; FAILED if the device had not read enough."""
    settle()
    data = u64(addr(slots[0].data[0]))
    before = read_timestamp()
    result = aegis.network_transmit(data, length)
    after = read_timestamp()
    return after - before if result == 0 else u64(FAILED)


def lent(length: u64, count: u64) -> u64:
    """The same, for each of `count`."""
    for slot in slots:
        slot.length = u32(length)
    settle()
    place = u64(addr(slots))
    before = read_timestamp()
    result = aegis.network_send(place, count)
    after = read_timestamp()
    if result != i64(count):
        return FAILED
    return (after - before - nothing()) // count + nothing()


def main() -> None:
    assert network.start()
    for slot in slots:
        slot.data[:6].fill(0xFF)
    least = nothing()
    for length in LENGTHS:
        best = Array[u64, 3]([FAILED, FAILED, FAILED])
        for _ in range(ROUNDS):  # each time as many as the time before, so that as many are taken back
            copied(length)
            best[0] = min(best[0], copied(length))
            lent(length, 1)
            best[1] = min(best[1], lent(length, 1))
            lent(length, EIGHT)
            best[2] = min(best[2], lent(length, EIGHT))
        print(f"frame-{length}", "copied", best[0] - least)
        print(f"frame-{length}", "lent", best[1] - least)
        print(f"frame-{length}", "lent in eight", best[2] - least)
