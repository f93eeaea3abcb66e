# SPDX-License-Identifier: MIT
"""1 lends frames to the device and tries what it must not; then nobody reads at the other end of the wire, the device is
stuck with all that it can have, and 1 loses all its other memory by force, and ends of that. 0 looks what becomes of the
memory that the device still reads.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Authority, Error, Kind, Right, SendSlot
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Ptr, i64, sizeof, u8, u32, u64

SLOTS = 0x10000000
COUNT = 80
PER_PAGE = abi.PAGE_BYTES // sizeof(SendSlot)
PAGES = COUNT // PER_PAGE
UNMAPPED = SLOTS + 100 * abi.PAGE_BYTES
frames: Array[u64, PAGES] = Array[u64, PAGES]()
LENGTHS: Final[Array[u32, 6]] = Array[u32, 6]([14, 60, 61, 1000, 1513, 1514])


def slot_at(number: u64) -> SendSlot:
    return Ptr[SendSlot](SLOTS + number % COUNT * sizeof(SendSlot))[0]


def send(number: u64, count: u64) -> i64:
    return aegis.network_send(SLOTS + number * sizeof(SendSlot), count)


def fill(number: u64, length: u32) -> None:
    """To everybody, of a kind for experiments (IEEE 802, 88b5), and then bytes that tell the number."""
    slot = slot_at(number)
    slot.length = length
    slot.data[:12].fill(0xFF)
    slot.data[12] = 0x88
    slot.data[13] = 0xB5
    for i in range(14, 1514):
        slot.data[i] = u8(number + i)


def until_read(number: u64) -> bool:
    """Whether the device has read a slot within a second."""
    end = read_timestamp() + aegis.system_page().timestamp_frequency
    while slot_at(number).busy != 0 and read_timestamp() < end:
        aegis.yield_to(abi.ANY_ENVIRONMENT)  # and no call that looks: the next tick does
    return slot_at(number).busy == 0


def try_what_is_refused() -> None:
    size = u64(sizeof(SendSlot))
    print("unaligned", aegis.network_send(SLOTS + 8, 1) == Error.BAD_ARGUMENT)
    print("too many", send(0, abi.SEND_LIMIT + 1) == Error.BAD_ARGUMENT)
    print("endless", aegis.network_send(SLOTS, 1 << 60) == Error.BAD_ARGUMENT)
    print("kernel", aegis.network_send(0xFFFFFFFF80200000, 1) == Error.BAD_ADDRESS)
    print("edge", aegis.network_send(abi.USER_LIMIT - size, 2) == Error.BAD_ADDRESS)
    print("unmapped", aegis.network_send(UNMAPPED, 1) == Error.BAD_ADDRESS)
    print("read-only", aegis.network_send(abi.SYSTEM_ADDRESS & ~(size - 1), 1) == Error.BAD_ADDRESS)
    print("code", aegis.network_send(abi.IMAGE_ADDRESS, 1) == Error.BAD_ADDRESS)
    fill(0, 13)
    print("short", send(0, 1) == Error.BAD_ARGUMENT)
    fill(0, 1515)
    print("long", send(0, 1) == Error.BAD_ARGUMENT)
    fill(0, 0xFFFF_FFFF)
    print("longest", send(0, 1) == Error.BAD_ARGUMENT)
    print("nothing", send(0, 0))


def lend() -> None:
    first: u64 = SLOTS // abi.PAGE_BYTES
    aegis.tlb_node(first, u64(aegis.frame_claim(abi.ANY)))
    for i in range(PAGES):
        frames[i] = u64(aegis.frame_claim(abi.ANY))
        aegis.tlb_insert(first + i, frames[i], Right.READ | Right.WRITE)
    try_what_is_refused()
    for i in range(len(LENGTHS)):
        fill(i, LENGTHS[i])
        assert send(i, 1) == 1 and until_read(i)
    for i in range(u64(abi.SEND_LIMIT)):
        fill(i, 100)
    slot_at(3).length = 5  # the three before it go
    print("batch", send(0, abi.SEND_LIMIT), send(4, abi.SEND_LIMIT - 4))
    print("read", until_read(2) and until_read(abi.SEND_LIMIT - 1))
    get_stuck()
    refused: u64 = 0
    lent: u64 = 0
    for i in range(PAGES):
        if slot_at(PER_PAGE * i).busy != 0:
            lent += 1
            refused += u64(aegis.frame_release(frames[i]) == Error.IN_USE)
            refused += u64(aegis.frame_give(frames[i], 0) == Error.IN_USE)
            refused += u64(aegis.tlb_remove(first + i, 1) == 0)
            refused += u64(aegis.frame_release(frames[i]) == Error.IN_USE)
            refused += u64(aegis.tlb_node(first + 512, frames[i]) == Error.NOT_OWNER)
    print("lent", lent > 16, refused == 5 * lent)


def get_stuck() -> None:
    """Until the device has all that it can have, for a while."""
    for i in range(COUNT):
        fill(i, 1514)
    number: u64 = 0
    last = read_timestamp()
    while read_timestamp() - last < aegis.system_page().timestamp_frequency // 5:
        if slot_at(number).busy == 0 and send(number % COUNT, 1) == 1:
            last = read_timestamp()
        number += 1
        aegis.yield_to(abi.ANY_ENVIRONMENT)


def kernels() -> u64:
    """Frames of the kernel's that a device reads."""
    count: u64 = 0
    for frame in range(aegis.system_page().frames):
        status = aegis.frame_entry(frame)
        count += u64(status.owner == abi.FRAME_KERNEL and status.pins != 0)
    return count


def main() -> None:
    system = aegis.system_page()
    free = system.frames_free
    if aegis.environment_page().identifier == 1:
        lend()
        aegis.environment_page().masked = abi.Event.REVOKE  # it gives nothing back
        aegis.wait(abi.FOREVER)
        return
    while system.environments[1].state != abi.State.SLEEPING:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    lent: u64 = 0
    for frame in range(system.frames):
        status = aegis.frame_entry(frame)
        lent += u64(status.owner == 1 and status.pins != 0)
    name = u64(Kind.AUTHORITY) << abi.NAME_INDEX_BITS | Authority.MEMORY
    mac = u64(aegis.capability_mint(name, Right.WRITE))
    assert aegis.bind(0, name, Right.WRITE, mac) == 0
    assert aegis.revoke(0, 1, system.frames, read_timestamp()) == 0
    while system.environments[1].state != abi.State.FREE:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    stuck = kernels()
    print("kept", stuck == lent, stuck > 16, system.events.repossessed != 0)
    missing = system.frames_free
    print("drain")
    end = read_timestamp() + 20 * system.timestamp_frequency
    while kernels() != 0 and read_timestamp() < end:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("free", system.frames_free == missing + stuck, system.frames_free > free)
