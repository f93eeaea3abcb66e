# SPDX-License-Identifier: MIT
"""What it costs to hand a frame to the device: copied by the kernel (`network_transmit`) or lent (`network_send`), one or
EIGHT in a call. Every line printed is `length way instructions`, the smallest of ROUNDS, for one frame, with the call
around it and with taking back one that the device has read before.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.exos import aegis, network
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, addr, aligned, i64, u32, u64

ROUNDS = 40
EIGHT = 8
LENGTHS: Final[Array[u64, 7]] = Array[u64, 7]([60, 200, 300, 400, 600, 1000, 1514])
slots: Array[abi.SendSlot, EIGHT] = aligned(4096, Array[abi.SendSlot, EIGHT]())


def settle() -> None:
    """Until the device has read everything."""
    start = read_timestamp()
    while read_timestamp() - start < 200_000:
        pass


def nothing() -> u64:
    before = read_timestamp()
    return read_timestamp() - before


def copied(length: u64) -> u64:
    data = u64(addr(slots[0].data[0]))
    before = read_timestamp()
    result = aegis.network_transmit(data, length)
    after = read_timestamp()
    assert result == 0
    return after - before


def lent(length: u64, count: u64) -> u64:
    for slot in slots:
        slot.length = u32(length)
    place = u64(addr(slots))
    before = read_timestamp()
    result = aegis.network_send(place, count)
    after = read_timestamp()
    assert result == i64(count)
    return (after - before - nothing()) // count + nothing()


def main() -> None:
    assert network.start()
    for slot in slots:
        slot.data[:6].fill(0xFF)
    least = nothing()
    for length in LENGTHS:
        best = Array[u64, 3]([1 << 60, 1 << 60, 1 << 60])
        for _ in range(ROUNDS):
            copied(length)
            settle()
            best[0] = min(best[0], copied(length))
            settle()
            lent(length, 1)
            settle()
            best[1] = min(best[1], lent(length, 1))
            settle()
            lent(length, EIGHT)
            settle()
            best[2] = min(best[2], lent(length, EIGHT))
            settle()
        print(length, "copied", best[0] - least)
        print(length, "lent", best[1] - least)
        print(length, "lent-in-eight", best[2] - least)
