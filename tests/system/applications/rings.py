# SPDX-License-Identifier: MIT
"""1 has several rings, counts what they lose, and takes all rings and filters that it can get, while it receives; 0
gets what is reserved for it nevertheless, and all of it when 1 has ended. Rings may share memory, which only their
owner suffers from.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom, Error, ReceiveRing, State
from exokernel.exos import aegis
from exokernel.exos.net import packets
from exokernel.exos.net.packets import udp
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Ptr, addr, aligned, i64, sizeof, u8, u32, u64

PORT = udp.destination == 7
COUNT = len(packets.listed(PORT))
ATOMS: Final[Array[Atom, packets.ATOMS]] = packets.atoms(PORT)
PLACE = next(i for i, a in enumerate(packets.listed(PORT)) if a.offset == 16)
MORE = 48  # pages behind the last ring, so that others begin in it
memory: Array[u8, 2 * sizeof(ReceiveRing) + MORE * abi.PAGE_BYTES] = aligned(
    4096, Array[u8, 2 * sizeof(ReceiveRing) + MORE * abi.PAGE_BYTES]()
)
last: u64 = 0  # the filter that was bound last


def ring_at(page: u64) -> u64:
    return u64(addr(memory)) + page * abi.PAGE_BYTES


def bind(port: u32, ring: u64) -> i64:
    """Leads a UDP port to a ring."""
    global last
    atoms = Array[Atom, packets.ATOMS]()
    for i in range(packets.ATOMS):
        atoms[i].copy_from(ATOMS[i])
    atoms[PLACE].value = port
    result = aegis.filter_bind(ring, u64(addr(atoms)), COUNT, abi.ANY)
    if result >= 0:
        last = u64(result)
    return result


def greedy() -> None:
    while aegis.system_page().environments[0].state != State.SLEEPING:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    second_page: u64 = sizeof(ReceiveRing) // abi.PAGE_BYTES
    first, second = Ptr[ReceiveRing](ring_at(0))[0], Ptr[ReceiveRing](ring_at(second_page))[0]
    assert bind(7, ring_at(0)) >= 0 and bind(8, ring_at(second_page)) >= 0
    print("bound")
    while first.indices.producer + first.indices.dropped < 300 or second.indices.producer < 3:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("first", first.indices.producer, first.indices.dropped, end=" ")
    print("second", second.indices.producer, second.indices.dropped)
    count: u64 = 2
    while bind(1000 + u32(count), ring_at(second_page + count - 1)) >= 0:
        count += 1
    print("rings", count, bind(999, ring_at(second_page + count)) == Error.NO_ROOM)
    while bind(1000 + u32(count), ring_at(0)) >= 0:
        count += 1
    print("filters", count, bind(999, ring_at(0)) == Error.NO_ROOM)
    churn(second, 1000 + u32(count) - 1)
    print("ready")
    aegis.wait(abi.FOREVER)


def churn(ring: ReceiveRing, port: u32) -> None:
    """Changes the filters again and again while frames come, so that their code is never whole; then lets it become so."""
    network = aegis.system_page().network
    searched = network.searched
    before = ring.indices.producer
    print("change")
    while ring.indices.producer - before < 20:
        assert aegis.filter_remove(last) == 0 and bind(port, ring_at(0)) >= 0
    print("searched", network.searched - searched >= 20)
    while True:
        searched = network.searched
        before = ring.indices.producer
        print("again")
        while ring.indices.producer == before:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
        if network.searched == searched:
            break
        ring.indices.consumer = ring.indices.producer
    print("compiled")
    aegis.environment_page().pending = 0


def main() -> None:
    if aegis.environment_page().identifier == 1:
        greedy()
        return
    assert bind(9, ring_at(0)) >= 0
    ring = Ptr[ReceiveRing](ring_at(0))[0]
    aegis.wait(abi.FOREVER)
    print("got", ring.indices.producer, ring.slots[0].data[37])
    print("mine", bind(10, ring_at(0)) >= 0, bind(11, ring_at(0)) == Error.NO_ROOM)
    print("another ring", bind(11, ring_at(1)) == Error.NO_ROOM)
    other = aegis.system_page().environments[1]
    while other.state != State.SLEEPING:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("end")
    longest: u64 = 0
    before = read_timestamp()
    while other.state != State.FREE:
        now = read_timestamp()
        longest = max(longest, now - before)
        before = now
    print("longest", longest)
    print("all mine", bind(7, ring_at(0)) >= 0, bind(1000, ring_at(0)) >= 0, bind(11, ring_at(1)) >= 0)
