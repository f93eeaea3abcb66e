# SPDX-License-Identifier: MIT
"""A child that owns the network, has lent frames to the device, owns slices, vector registers, pins and guarantees, and
sleeps, is ended, many times over; all of it must be free again, and nothing of the registers left.
"""

from family import SANDBOX, claim, lives, make, prepare_sandbox, run, start

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, ReceiveRing, Right, SendSlot
from exokernel.exos import aegis
from exokernel.metal import Array, Ptr, addr, asm, sizeof, u64, volatile_load, volatile_store

TURNS = 10
RING_PAGES = sizeof(ReceiveRing) // abi.PAGE_BYTES
words: Array[u64, 4] = Array[u64, 4]()  # [0]: ready; [1]: 1 if it has the network


def set_registers() -> None:
    asm("mov rax, 0x5EC2E75EC2E7; movq xmm5, rax", "~{rax},~{xmm5}")


def seen_register() -> u64:
    return asm("movq rax, xmm5", "={rax}", returns=u64)


def child() -> None:
    for i in range(RING_PAGES):
        frame = claim()
        aegis.tlb_insert(SANDBOX + i, frame, Right.WRITE)
        aegis.frame_guarantee(frame, 1)
        aegis.frame_pin(frame, 1)
    words[1] = u64(aegis.network_bind(Ptr[ReceiveRing](SANDBOX * abi.PAGE_BYTES)[0]) == 0)
    if words[1]:  # what it has lent to the device is in the ring, too
        Ptr[SendSlot]((SANDBOX + 1) * abi.PAGE_BYTES)[0].length = 60
        words[1] = u64(aegis.network_send((SANDBOX + 1) * abi.PAGE_BYTES, 1) == 1)
    aegis.slice_claim(abi.ANY)
    aegis.floating_point(1)
    set_registers()
    volatile_store(addr(words[0]), 1)
    while True:
        aegis.wait(abi.FOREVER)


def main() -> u64:
    prepare_sandbox()
    for i in range(RING_PAGES):
        aegis.tlb_insert(SANDBOX + i, claim(), Right.WRITE)
    ring = Ptr[ReceiveRing](SANDBOX * abi.PAGE_BYTES)[0]
    got: u64 = 0
    for _ in range(TURNS):
        words.fill(0)
        number = make(0)
        start(0, u64(child), 0)
        run(number, words[:])
        got += u64(not lives(number))
        if volatile_load(addr(words[1])):
            got += u64(aegis.network_bind(ring) != Error.BUSY)
        got += u64(aegis.environment_end(0, 0) != 0)
        for owner in aegis.system_page().slice_owners:
            got += u64(owner == number)
        got += u64(aegis.floating_point(1) != 0) + u64(seen_register() != 0) + u64(aegis.floating_point(0) != 0)
    return got
