# SPDX-License-Identifier: MIT
"""Two hosts of the library joined by memory alone, in the dialect, for the tests to drive: `left` is 10.0.0.2 with an
echo service, `right` is 10.0.0.1 and remembers the last datagram it got. Frames that leave a host are kept until they
are read (`sent`) or carried over (`carry`).
"""

from exokernel.exos.net import arp, fragments, interface
from exokernel.exos.net.drop import Drop
from exokernel.exos.net.interface import Peer
from exokernel.metal import Array, Span, struct, u8, u16, u32, u64

FRAMES = 16
SECOND = 1000


@struct
class Wire:
    """What one host sent."""

    count: u64
    lengths: Array[u64, FRAMES]
    frames: Array[Array[u8, 1514], FRAMES]

    def put(self, frame: Span[u8]) -> bool:
        if self.count == FRAMES:
            return False
        self.frames[self.count][: len(frame)].copy_from(frame)
        self.lengths[self.count] = len(frame)
        self.count += 1
        return True


left: interface.Interface = interface.new()
right: interface.Interface = interface.new()
left_output: Array[u8, 1514] = Array[u8, 1514]()
right_output: Array[u8, 1514] = Array[u8, 1514]()
pieces: Array[fragments.Datagram, 2] = Array[fragments.Datagram, 2]()
left_neighbours: Array[arp.Neighbour, 4] = Array[arp.Neighbour, 4]()
right_neighbours: Array[arp.Neighbour, 4] = Array[arp.Neighbour, 4]()
from_left: Wire = Wire()
from_right: Wire = Wire()
got: Array[u8, 1514] = Array[u8, 1514]()
got_length: u64 = 0
clock: u64 = 0


def transmit_left(frame: Span[u8]) -> bool:
    return from_left.put(frame)


def transmit_right(frame: Span[u8]) -> bool:
    return from_right.put(frame)


def echo(sender: Peer, data: Span[u8]) -> None:
    if sender.port != 7:
        interface.send(left, sender, data, clock)


def remember(sender: Peer, data: Span[u8]) -> None:
    global got_length
    got[: len(data)].copy_from(data)
    got_length = len(data)


def reset() -> None:
    """Two hosts that have seen nothing yet."""
    global clock, got_length
    clock = 0
    got_length = 0
    prepare(left, 0x5254_0012_3456, 0x0A00_0002)
    prepare(right, 0x0200_0000_00AA, 0x0A00_0001)
    left.output = left_output
    right.output = right_output
    left.neighbours = left_neighbours
    right.neighbours = right_neighbours
    for neighbour in left.neighbours:
        neighbour.state = arp.FREE
        neighbour.waiting_length = 0
    for neighbour in right.neighbours:
        neighbour.state = arp.FREE
        neighbour.waiting_length = 0
    left.fragments = pieces[:0]
    left.transmit = transmit_left
    right.transmit = transmit_right
    from_left.count = 0
    from_right.count = 0
    interface.unbind(left, 7)
    interface.unbind(right, 40000)
    interface.bind(left, 7, echo)
    interface.bind(right, 40000, remember)


def prepare(host: interface.Interface, station: u64, address: u32) -> None:
    host.station = station
    host.address = address
    host.mask = 0xFFFF_FF00
    host.gateway = 0x0A00_00FE
    host.second = SECOND
    host.next_deadline = interface.NEVER
    host.received = 0
    host.sent = 0
    host.delivered = 0
    host.dropped.fill(0)


def join_fragments() -> None:
    """`left` joins fragments from now on, of two datagrams at a time."""
    for row in pieces:
        row.deadline = 0
    left.fragments = pieces


def inject(frame: Span[u8]) -> u64:
    """`left` receives a frame; how many it has sent by then and not been asked for."""
    interface.receive(left, frame, clock)
    return from_left.count


def sent(buffer: Span[u8]) -> u64:
    """Take the oldest frame that `left` sent; its length."""
    length = from_left.lengths[0]
    buffer[:length].copy_from(from_left.frames[0][:length])
    for i in range(1, FRAMES):
        from_left.lengths[i - 1] = from_left.lengths[i]
        from_left.frames[i - 1].copy_from(from_left.frames[i])
    from_left.count -= 1
    return length


def carry() -> u64:
    """Deliver what each host sent to the other until nothing is under way; how many frames that were."""
    carried: u64 = 0
    while from_left.count + from_right.count != 0 and carried < 100:
        for i in range(from_left.count):
            interface.receive(right, from_left.frames[i][: from_left.lengths[i]], clock)
        carried += from_left.count
        from_left.count = 0
        for i in range(from_right.count):
            interface.receive(left, from_right.frames[i][: from_right.lengths[i]], clock)
        carried += from_right.count
        from_right.count = 0
    return carried


def ask_from_right(address: u32, port: u16, data: Span[u8]) -> bool:
    """`right` sends a datagram from its port 40000."""
    return interface.send(right, Peer(address, port, 40000, interface.ASK), data, clock)


def answer(buffer: Span[u8]) -> u64:
    """The last datagram that `right` got; its length. It is then forgotten."""
    global got_length
    length = got_length
    buffer[:length].copy_from(got[:length])
    got_length = 0
    return length


def let_pass(ticks: u64) -> None:
    """Time goes by."""
    global clock
    clock += ticks
    if clock >= left.next_deadline:
        interface.tick(left, clock)
    if clock >= right.next_deadline:
        interface.tick(right, clock)


def left_dropped(reason: u8) -> u64:
    return left.dropped[reason]


def right_dropped(reason: u8) -> u64:
    return right.dropped[reason]


def left_neighbour(address: u32) -> u64:
    """The station that `left` believes `address` has; 0 if it knows none."""
    row = arp.find(left.neighbours, address)
    if row == len(left.neighbours) or left.neighbours[row].state != arp.KNOWN:
        return 0
    return left.neighbours[row].station


def totals() -> tuple[u64, u64, u64]:
    """Of `left`: frames received, delivered, and dropped on arrival for whatever reason."""
    dropped: u64 = 0
    for i in range(1, Drop.SEND_LENGTH):
        dropped += left.dropped[i]
    return left.received, left.delivered, dropped
