# SPDX-License-Identifier: MIT
"""Two environments want the network. Environment 1 binds it and crashes a little later; environment 0 is refused until
then, gets it afterwards, and then tries to make page tables of the frames that the kernel writes received frames to.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Ptr, addr, asm, sizeof, u8, u64

RING = 0x10000000
RING_PAGES = sizeof(abi.ReceiveRing) // abi.PAGE_BYTES
frames: Array[u64, RING_PAGES] = Array[u64, RING_PAGES]()
packet: Array[u8, 64] = Array[u8, 64]()


def build_ring() -> None:
    """A ring in frames whose numbers are known."""
    first: u64 = RING // abi.PAGE_BYTES
    aegis.tlb_node(first, u64(aegis.frame_claim(abi.ANY)))
    for i in range(RING_PAGES):
        frames[i] = u64(aegis.frame_claim(abi.ANY))
        aegis.tlb_insert(first + i, frames[i], Right.READ | Right.WRITE)


def nodes_refused() -> bool:
    """Whether none of the ring's frames can become a node, though none is mapped meanwhile."""
    first: u64 = RING // abi.PAGE_BYTES
    refused: u64 = 0
    for i in range(RING_PAGES):
        aegis.tlb_insert(first + i, 0, Right.NONE)
        refused += u64(aegis.tlb_node(first + 512, frames[i]) == Error.NOT_OWNER)
        aegis.tlb_insert(first + i, frames[i], Right.READ | Right.WRITE)
    return refused == RING_PAGES


def bind_and_crash() -> None:
    print("first", aegis.network_bind(Ptr[abi.ReceiveRing](RING)[0]))
    aegis.wait(read_timestamp() + aegis.system_page().timestamp_frequency // 100)
    asm("ud2", "~{memory}")


def main() -> None:
    build_ring()
    if aegis.environment_page().identifier == 1:
        bind_and_crash()
        return
    ring = Ptr[abi.ReceiveRing](RING)[0]
    while aegis.system_page().environments[1].state != abi.State.SLEEPING:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("bind", aegis.network_bind(ring) == Error.BUSY)
    print("transmit", aegis.network_transmit(u64(addr(packet)), len(packet)) == Error.BUSY)
    while aegis.system_page().environments[1].state != abi.State.FREE:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("bind", aegis.network_bind(ring), "nodes refused", nodes_refused())
    print("again", aegis.network_bind(ring), "nodes refused", nodes_refused())
