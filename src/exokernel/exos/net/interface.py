# SPDX-License-Identifier: MIT
"""One network interface: its addresses, its neighbours, who listens on its ports, its counters, and what happens to a
frame that arrives and to a datagram that leaves. It reads no clock and touches no device: time comes in as `now`,
frames go out through `transmit`. So several can be joined by memory alone, in a test or in one application.

It answers a datagram on the way it came (to the station that sent the frame), which needs no table and can be tricked
into nothing that the sender could not do itself; everything else asks ARP. It never answers what came to a broadcast.
"""

from collections.abc import Callable

from exokernel.exos.net import arp, ethernet, fragments, icmp, ipv4, udp
from exokernel.exos.net.drop import REASONS, Drop
from exokernel.metal import Array, Span, cold, inline, struct, u8, u16, u32, u64, view

NEVER = 0xFFFF_FFFF_FFFF_FFFF
ASK = 0  # as a station: find out by ARP
PORTS = 16
PAYLOAD = ethernet.HEADER + ipv4.HEADER  # where the payload of a datagram stands in a frame without IP options
LARGEST_DATAGRAM = ethernet.LARGEST_FRAME - PAYLOAD - udp.HEADER


@struct
class Peer:
    """Where a datagram came from, and so where its answer goes."""

    address: u32
    port: u16
    local_port: u16
    station: u64  # of the frame's sender, or ASK


@struct
class Port:
    """One listener; `number` is 0 in a free place."""

    number: u16
    handler: Callable[[Peer, Span[u8]], None]


@struct
class Interface:
    station: u64
    address: u32
    mask: u32
    gateway: u32  # 0: none
    configuring: bool  # it has no address yet: datagrams to any address come in, and nothing else
    second: u64  # in the clock's ticks
    next_deadline: u64  # when `tick` wants to run
    received: u64
    sent: u64
    delivered: u64
    kept: u64  # fragments that wait for others or have found them
    dropped: Array[u64, REASONS]
    neighbours: Span[arp.Neighbour]
    fragments: Span[fragments.Datagram]  # empty: fragments are dropped
    ports: Array[Port, PORTS]
    transmit: Callable[[Span[u8]], bool]
    segment: Callable[[u64, Span[u8], u64], u8]  # of TCP: sender's station, the datagram, now; why it was dropped
    timer: Callable[[u64], u64]  # of TCP: do what is due now; when it wants to be called again
    output: Span[u8]  # where a frame is built, LARGEST_FRAME bytes; `transmit` may lead it elsewhere

    @cold
    def drop(self, reason: u8) -> None:
        self.dropped[reason] += 1


def ignore(peer: Peer, data: Span[u8]) -> None:
    """Stands where nobody listens."""


def nowhere(frame: Span[u8]) -> bool:
    """Stands where no device is."""
    return False


def no_segments(station: u64, packet: Span[u8], now: u64) -> u8:
    """Stands where nobody speaks TCP."""
    return Drop.IPV4_PROTOCOL


def no_timer(now: u64) -> u64:
    """The same."""
    return NEVER


def new() -> Interface:
    """For the initial value of a module variable; runs when the image is built."""
    ports = Array[Port, PORTS]([Port(0, ignore) for _ in range(PORTS)])
    return Interface(ports=ports, transmit=nowhere, segment=no_segments, timer=no_timer)


def bind(interface: Interface, port: u16, handler: Callable[[Peer, Span[u8]], None]) -> bool:
    """Give datagrams for `port` (not 0) to `handler`; False if the port is taken or the table full. The handler may
    keep nothing of its arguments.
    """
    if port == 0:
        return False
    free: u64 = PORTS
    for i in range(PORTS):
        if interface.ports[i].number == port:
            return False
        if interface.ports[i].number == 0:
            free = min(free, i)
    if free == PORTS:
        return False
    interface.ports[free].number = port
    interface.ports[free].handler = handler
    return True


def unbind(interface: Interface, port: u16) -> None:
    """Nobody listens on `port` any more."""
    for i in range(PORTS):
        if port != 0 and interface.ports[i].number == port:
            interface.ports[i].number = 0
            interface.ports[i].handler = ignore


# Arrival


def receive(interface: Interface, frame: Span[u8], now: u64) -> None:
    """Do what is to be done about one frame. Whatever its bytes are, this returns, and counts the frame somewhere."""
    interface.received += 1
    reason = ethernet.check(frame, interface.station)
    if reason != Drop.NONE:
        interface.drop(reason)
        return
    kind = view(ethernet.Header, frame).kind
    if kind == ethernet.IPV4:
        receive_ipv4(interface, frame, now)
    elif kind == ethernet.ARP:
        receive_arp(interface, frame, now)
    else:
        interface.drop(Drop.ETHERNET_KIND)


def receive_arp(interface: Interface, frame: Span[u8], now: u64) -> None:
    """RFC 826 "Packet Reception": learn from what we know already or what is meant for us, then answer a request."""
    payload = frame[ethernet.HEADER :]
    reason = arp.check(payload, interface.address, interface.mask)
    if reason != Drop.NONE:
        interface.drop(reason)
        return
    packet = view(arp.Packet, payload)
    for_us = packet.target_address == interface.address
    sender = packet.sender_address
    station = packet.sender_station.number()
    if sender != 0:
        row = arp.find(interface.neighbours, sender)
        if row == len(interface.neighbours) and for_us:
            row = new_neighbour(interface, sender)
        if row != len(interface.neighbours):
            neighbour = interface.neighbours[row]
            neighbour.station = station
            neighbour.state = arp.KNOWN
            neighbour.deadline = now + arp.LIFETIME * interface.second
            release_waiting(interface, neighbour)
    if for_us and packet.operation == arp.REQUEST:
        send_arp(interface, arp.REPLY, station, sender)


def receive_ipv4(interface: Interface, frame: Span[u8], now: u64) -> None:
    """Give a sound datagram for this host to its protocol."""
    packet = frame[ethernet.HEADER :]
    address = interface.address
    if interface.configuring:
        if len(packet) >= ipv4.HEADER:
            address = view(ipv4.Header, packet).destination  # whatever the server takes for ours
    elif ethernet.destination_of(frame) == ethernet.BROADCAST:
        interface.drop(Drop.IPV4_DESTINATION)  # RFC 1122 section 3.3.6, and no service listens to broadcasts
        return
    reason = ipv4.check(packet, address, interface.mask)
    if reason != Drop.NONE:
        packet = join(interface, packet, reason, now)
        if len(packet) == 0:
            return
    header = view(ipv4.Header, packet)
    packet = packet[: header.total_length]
    if header.protocol == ipv4.UDP:
        receive_udp(interface, frame, packet, now)
    elif interface.configuring:
        interface.drop(Drop.IPV4_DESTINATION)
    elif header.protocol == ipv4.ICMP:
        receive_icmp(interface, frame, packet, now)
    elif header.protocol == ipv4.TCP:
        reason = interface.segment(ethernet.source_of(frame), packet, now)
        if reason != Drop.NONE:
            interface.drop(reason)
        else:
            interface.delivered += 1
    else:
        interface.drop(Drop.IPV4_PROTOCOL)


@cold
def join(interface: Interface, packet: Span[u8], reason: u8, now: u64) -> Span[u8]:
    """The datagram that is whole with this packet, if it was only a fragment; else nothing, and it is kept or dropped."""
    row = len(interface.fragments)
    if reason == Drop.IPV4_FRAGMENT and row != 0:
        row, reason = fragments.add(interface.fragments, packet, now, interface.second)
    if reason != Drop.NONE:
        interface.drop(reason)
    elif row == len(interface.fragments):
        interface.kept += 1
    else:
        return interface.fragments[row].packet[:]
    return packet[:0]


def receive_icmp(interface: Interface, frame: Span[u8], packet: Span[u8], now: u64) -> None:
    header = view(ipv4.Header, packet)
    message = packet[header.length() :]
    reason = icmp.check(message)
    if reason != Drop.NONE:
        interface.drop(reason)
        return
    interface.delivered += 1
    end = PAYLOAD + len(message)
    if end > ethernet.LARGEST_FRAME:  # it came in fragments; we send none
        interface.drop(Drop.SEND_LENGTH)
        return
    icmp.write_echo_reply(interface.output[PAYLOAD:end], message)
    station = ethernet.source_of(frame)
    send_ipv4(interface, header.source, station, ipv4.ICMP, len(message), now)


def receive_udp(interface: Interface, frame: Span[u8], packet: Span[u8], now: u64) -> None:
    header = view(ipv4.Header, packet)
    datagram = packet[header.length() :]
    reason = udp.check(datagram, header.source, header.destination)
    if reason != Drop.NONE:
        interface.drop(reason)
        return
    ports = view(udp.Header, datagram)
    station = ethernet.source_of(frame)
    for i in range(PORTS):
        if interface.ports[i].number == ports.destination_port:
            interface.delivered += 1
            peer = Peer(header.source, ports.source_port, ports.destination_port, station)
            interface.ports[i].handler(peer, datagram[udp.HEADER : ports.length])
            return
    interface.drop(Drop.UDP_PORT)
    if interface.configuring:
        return
    quoted = packet[: min(header.length() + icmp.QUOTED, len(packet))]
    length = icmp.HEADER + len(quoted)
    icmp.write_port_unreachable(interface.output[PAYLOAD : PAYLOAD + length], quoted)
    send_ipv4(interface, header.source, station, ipv4.ICMP, length, now)


# Departure


def send(interface: Interface, peer: Peer, data: Span[u8], now: u64) -> bool:
    """Send `data` from `peer.local_port` to `peer`. False, and counted, if it is too long for a frame, the peer has no
    port or the device no room; True says that it left or waits for ARP, not that it arrives.
    """
    if peer.port == 0:
        interface.drop(Drop.SEND_PORT)
        return False
    if len(data) > LARGEST_DATAGRAM:
        interface.drop(Drop.SEND_LENGTH)
        return False
    frame = interface.output[: PAYLOAD + udp.HEADER + len(data)]
    datagram = frame[PAYLOAD:]
    datagram[udp.HEADER :].copy_from(data)
    udp.write(datagram, interface.address, peer.local_port, peer.address, peer.port)
    return send_packet(interface, frame, peer.address, peer.station, ipv4.UDP, now)


def send_ipv4(interface: Interface, destination: u32, station: u64, protocol: u8, length: u64, now: u64) -> bool:
    """Send the payload of `length` bytes that stands in `output`, to `station` if it is known already."""
    return send_packet(interface, interface.output[: PAYLOAD + length], destination, station, protocol, now)


@inline
def send_packet(interface: Interface, frame: Span[u8], destination: u32, station: u64, protocol: u8, now: u64) -> bool:
    """The same of a `frame` in `output` that has its payload."""
    ipv4.write(frame[ethernet.HEADER :], interface.address, destination, protocol)
    if station != ASK:
        return finish_frame(interface, frame, station, ethernet.IPV4)
    return send_by_route(interface, destination, len(frame), now)


@cold  # an answer does not pay for it
def send_by_route(interface: Interface, destination: u32, end: u64, now: u64) -> bool:
    """Send the datagram in `output` to whom the address or the gateway leads; to wait for ARP is to send."""
    if destination == ipv4.LIMITED_BROADCAST or destination == interface.address | (interface.mask ^ 0xFFFF_FFFF):
        return send_frame(interface, ethernet.BROADCAST, ethernet.IPV4, end)
    next_hop = destination
    if (destination ^ interface.address) & interface.mask and interface.gateway != 0:
        next_hop = interface.gateway
    row = arp.find(interface.neighbours, next_hop)
    if row == len(interface.neighbours):
        row = new_neighbour(interface, next_hop)
    neighbour = interface.neighbours[row]
    if neighbour.state == arp.KNOWN and now < neighbour.deadline:
        return send_frame(interface, neighbour.station, ethernet.IPV4, end)
    wait_for(interface, neighbour, end)
    if neighbour.state != arp.ASKED:
        neighbour.state = arp.ASKED
        neighbour.attempts = 0
        neighbour.deadline = now
        ask_neighbours(interface, now)
    return True


def send_frame(interface: Interface, station: u64, kind: u16, length: u64) -> bool:
    """Send the first `length` bytes of `output` as a frame, padded to the smallest length with zeros."""
    return finish_frame(interface, interface.output[:length], station, kind)


@inline
def finish_frame(interface: Interface, frame: Span[u8], station: u64, kind: u16) -> bool:
    """The same of a `frame` in `output`."""
    ethernet.write(frame, station, interface.station, kind)
    if len(frame) < ethernet.SMALLEST_FRAME:
        interface.output[len(frame) : ethernet.SMALLEST_FRAME].fill(0)
        frame = interface.output[: ethernet.SMALLEST_FRAME]
    if not interface.transmit(frame):
        interface.drop(Drop.SEND_BUSY)
        return False
    interface.sent += 1
    return True


# Neighbours


def new_neighbour(interface: Interface, address: u32) -> u64:
    """An empty row for `address`; a frame that waited in the row that had to go is lost and counted."""
    row = arp.choose(interface.neighbours)
    neighbour = interface.neighbours[row]
    forget(interface, neighbour)
    neighbour.address = address
    return row


def forget(interface: Interface, neighbour: arp.Neighbour) -> None:
    if neighbour.waiting_length != 0:
        interface.drop(Drop.SEND_NEIGHBOUR)
    neighbour.waiting_length = 0
    neighbour.state = arp.FREE


def wait_for(interface: Interface, neighbour: arp.Neighbour, length: u64) -> None:
    """Keep the frame in `output` until the neighbour is known; the latest one wins (RFC 1122 section 2.3.2.2)."""
    if neighbour.waiting_length != 0:
        interface.drop(Drop.SEND_NEIGHBOUR)
    neighbour.waiting[:length].copy_from(interface.output[:length])
    neighbour.waiting_length = u16(length)


def release_waiting(interface: Interface, neighbour: arp.Neighbour) -> None:
    length = u64(neighbour.waiting_length)
    if length != 0:
        neighbour.waiting_length = 0
        interface.output[:length].copy_from(neighbour.waiting[:length])
        send_frame(interface, neighbour.station, ethernet.IPV4, length)


def send_arp(interface: Interface, operation: u16, station: u64, address: u32) -> None:
    end: u64 = ethernet.HEADER + arp.LENGTH
    known = station if operation == arp.REPLY else 0
    arp.write(interface.output[ethernet.HEADER : end], operation, interface.station, interface.address, known, address)
    send_frame(interface, station, ethernet.ARP, end)


def ask_neighbours(interface: Interface, now: u64) -> None:
    """Ask again for neighbours that have not answered, and give up at last. Sets `next_deadline` no later than needed."""
    for i in range(len(interface.neighbours)):
        neighbour = interface.neighbours[i]
        if neighbour.state == arp.ASKED and now >= neighbour.deadline:
            if neighbour.attempts == arp.ATTEMPTS:
                forget(interface, neighbour)
                continue
            neighbour.attempts += 1
            neighbour.deadline = now + interface.second
            send_arp(interface, arp.REQUEST, ethernet.BROADCAST, neighbour.address)
        if neighbour.state == arp.ASKED:
            interface.next_deadline = min(interface.next_deadline, neighbour.deadline)


def tick(interface: Interface, now: u64) -> None:
    """Do what is due. Sets `next_deadline`."""
    interface.next_deadline = NEVER
    ask_neighbours(interface, now)
    later = interface.timer(now)
    interface.next_deadline = min(interface.next_deadline, later)
