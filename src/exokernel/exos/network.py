# SPDX-License-Identifier: MIT
"""The machine's network interface, on Aegis's receive ring: start it, bind handlers to ports, serve. One application
has it; frames stay in the ring, in its own memory, while they are handled. This is the only file of the network that
knows the kernel; what is done with a frame is decided in `interface`.
"""

from collections.abc import Callable

from exokernel.aegis import abi
from exokernel.exos import aegis, arp, console, interface
from exokernel.exos.interface import Peer
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Span, addr, atomic_and, compiler_barrier, u8, u16, u32, u64

NEIGHBOURS = 16
USER_NETWORK_HOST = 2  # QEMU's user network: the gateway is host 2 of the network
PREFIX_MASK = 0xFFFF_FF00

# The address is told by the device's station address: 52:54 and the four bytes of the IPv4 address. Only QEMU's own
# default, 52:54:00:12:34:56, stands for 10.0.0.2.
DEFAULT_STATION = 0x5254_0012_3456
DEFAULT_ADDRESS = 0x0A00_0002

card: interface.Interface = interface.new()
neighbours: Array[arp.Neighbour, NEIGHBOURS] = Array[arp.Neighbour, NEIGHBOURS]()
ring: abi.ReceiveRing = abi.ReceiveRing()


def start() -> bool:
    """Take the network; False if there is none, or another environment has it."""
    page = aegis.system_page()
    station: u64 = 0
    for byte in page.mac:
        station = (station << 8) | byte
    card.station = station
    card.address = DEFAULT_ADDRESS if station == DEFAULT_STATION else u32(station)
    card.mask = PREFIX_MASK
    card.gateway = (card.address & PREFIX_MASK) | USER_NETWORK_HOST
    if card.gateway == card.address:
        card.gateway = 0
    card.second = page.timestamp_frequency
    card.next_deadline = interface.NEVER
    card.neighbours = neighbours
    card.transmit = transmit
    return aegis.network_bind(ring) == 0


def bind(port: u16, handler: Callable[[Peer, Span[u8]], None]) -> bool:
    """Give UDP datagrams for `port` to `handler`, called with their sender and contents; False if the port is taken."""
    return interface.bind(card, port, handler)


def send(peer: Peer, data: Span[u8]) -> bool:
    """Send a UDP datagram, as `interface.send` says; to answer one, give the Peer that the handler got."""
    return interface.send(card, peer, data, read_timestamp())


def poll() -> u64:
    """Handle what has arrived, at most one ring of frames, and what is due. How many things that were; after 0 it is
    time to sleep.
    """
    count: u64 = 0
    now = read_timestamp()
    if now >= card.next_deadline:
        interface.tick(card, now)
        count += 1
    consumer = ring.indices.consumer
    while count < abi.RING_SLOTS and ring.indices.producer != consumer:
        compiler_barrier()  # the slot is read after the producer
        slot = ring.slots[consumer % abi.RING_SLOTS]
        interface.receive(card, slot.data[: slot.length], now)
        compiler_barrier()
        consumer += 1
        ring.indices.consumer = consumer
        count += 1
    return count


def sleep(deadline: u64) -> None:
    """Sleep until a frame arrives, or something is due, or `deadline` (abi.FOREVER: no deadline)."""
    console.flush()
    atomic_and(addr(aegis.environment_page().pending), abi.Event.NETWORK ^ 0xFFFF_FFFF_FFFF_FFFF)
    # A frame that came before this line is seen here; one that comes later sets the bit again and `wait` returns.
    if ring.indices.producer == ring.indices.consumer:
        aegis.wait(min(deadline, card.next_deadline))


def serve_forever() -> None:
    """Handle frames as they come."""
    while True:
        if poll() == 0:
            sleep(abi.FOREVER)


def transmit(frame: Span[u8]) -> bool:
    """Hand a frame to the device; wait for room at most ten milliseconds."""
    result = aegis.network_transmit(u64(addr(frame[0])), len(frame))
    if result == abi.Error.QUEUE_FULL:
        limit = read_timestamp() + card.second // 100
        while result == abi.Error.QUEUE_FULL and read_timestamp() < limit:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
            result = aegis.network_transmit(u64(addr(frame[0])), len(frame))
    return result == 0
