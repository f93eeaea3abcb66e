# SPDX-License-Identifier: MIT
"""The machine's network interface, on Aegis's receive ring: start it, bind handlers to ports, serve. One application
has it; frames stay in the ring, in its own memory, while they are handled, and the device reads what is sent, if it is
not short, where it was built. This is the only file of the network that knows the kernel; what is done with a frame is
decided in `interface`.
"""

from collections.abc import Callable

from exokernel.aegis import abi
from exokernel.exos import aegis, console
from exokernel.exos.net import arp, ethernet, interface
from exokernel.exos.net.drop import Drop
from exokernel.exos.net.interface import Peer
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Span, addr, aligned, atomic_and, compiler_barrier, noinline, u8, u16, u32, u64

NEIGHBOURS = 16
OUTGOING = 32  # frames that are being built, wait for their company, or are with the device
TOGETHER = 8  # of them go with one call
COPIED = (
    256  # bytes: what is shorter and goes alone the kernel copies; lending it would cost more, with our share of it
)
USER_NETWORK_HOST = 2  # QEMU's user network: the gateway is host 2 of the network
PREFIX_MASK = 0xFFFF_FF00

# The address is told by the device's station address: 52:54 and the four bytes of the IPv4 address. Only QEMU's own
# default, 52:54:00:12:34:56, stands for 10.0.0.2.
DEFAULT_STATION = 0x5254_0012_3456
DEFAULT_ADDRESS = 0x0A00_0002

card: interface.Interface = interface.new()
neighbours: Array[arp.Neighbour, NEIGHBOURS] = Array[arp.Neighbour, NEIGHBOURS]()
ring: abi.ReceiveRing = abi.ReceiveRing()
outgoing: Array[abi.SendSlot, OUTGOING] = aligned(4096, Array[abi.SendSlot, OUTGOING]())
building: u64 = 0  # the slot that `card.output` is in
together: u64 = 0  # so many before it are complete, and not yet sent
stuck: bool = False  # we have waited for the device in vain
polling: bool = False  # `poll` sends them when it ends


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
    card.output = outgoing[building].data[: ethernet.LARGEST_FRAME]
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
    global polling
    count: u64 = 0
    now = read_timestamp()
    polling = True
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
    polling = False
    if together != 0:
        flush()
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
    """Send the frame that stands in `card.output`; wait for room at most ten milliseconds, and not again before there was
    some. In `poll` True says that it goes when there are TOGETHER, or at the end.
    """
    global stuck
    if together == 0 and len(frame) < COPIED and (not polling or ring.indices.producer == ring.indices.consumer + 1):
        if aegis.network_transmit(u64(addr(frame[0])), len(frame)) == 0:
            stuck = False
            return True
        return copy(frame)
    return lend(frame)


@noinline  # what goes alone does not pay for it
def lend(frame: Span[u8]) -> bool:
    """Have the device read a frame where it stands, with its company."""
    global building, together
    following = (building + 1) % OUTGOING
    if outgoing[following].busy != 0:
        return (together == 0 or flush()) and copy(frame)
    outgoing[building].length = u32(len(frame))
    together += 1
    building = following
    card.output = outgoing[building].data[: ethernet.LARGEST_FRAME]
    if polling and together < TOGETHER and building != 0:
        return True
    return flush()


@noinline
def copy(frame: Span[u8]) -> bool:
    """Have the kernel copy a frame."""
    global stuck
    result = aegis.network_transmit(u64(addr(frame[0])), len(frame))
    if result == abi.Error.QUEUE_FULL:
        limit = patience()
        while result == abi.Error.QUEUE_FULL and read_timestamp() < limit:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
            result = aegis.network_transmit(u64(addr(frame[0])), len(frame))
    stuck = result == abi.Error.QUEUE_FULL
    return result == 0


def flush() -> bool:
    """Hand what is complete to the device. False: not all of it in time; what is left is dropped."""
    global together, stuck
    first = (building + OUTGOING - together) % OUTGOING
    limit: u64 = 0
    while together != 0:
        result = aegis.network_send(u64(addr(outgoing[first])), together)
        if result > 0:
            stuck = False
            first += u64(result)
            together -= u64(result)
            continue
        if limit == 0:
            limit = patience()
        if result != abi.Error.QUEUE_FULL or read_timestamp() >= limit:
            card.dropped[Drop.SEND_BUSY] += together
            together = 0
            stuck = True
            return False
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    return True


def patience() -> u64:
    """Until when to wait for the device."""
    return read_timestamp() + (0 if stuck else card.second // 100)
