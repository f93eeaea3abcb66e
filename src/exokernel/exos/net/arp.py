# SPDX-License-Identifier: MIT
"""ARP for IPv4 over Ethernet (RFC 826, RFC 1122 section 2.3.2): the packets, and the table of neighbours. The table
belongs to the caller and does not grow: when it is full, the entry nearest its end makes place. Pure: nothing is sent
and no clock is read here; `now` and deadlines are the caller's clock.
"""

from exokernel.exos.net import ethernet, ipv4
from exokernel.exos.net.drop import Drop
from exokernel.metal import Array, Span, struct, u8, u16, u16be, u32, u32be, u64, view

LENGTH = 28
ETHERNET = 1
REQUEST = 1
REPLY = 2

ATTEMPTS = 3  # requests, a second apart
LIFETIME = 20 * 60  # seconds that an answer is believed

FREE = 0
ASKED = 1
KNOWN = 2


@struct(packed=True)
class Packet:
    hardware: u16be
    protocol: u16be
    hardware_length: u8
    protocol_length: u8
    operation: u16be
    sender_station: ethernet.Station
    sender_address: u32be
    target_station: ethernet.Station
    target_address: u32be


@struct
class Neighbour:
    """One row of the table: who `address` is, and the last frame that waits to know."""

    address: u32
    state: u8
    attempts: u8
    waiting_length: u16  # 0: nothing waits
    station: u64
    deadline: u64  # ASKED: when to ask again; KNOWN: when to forget
    waiting: Array[u8, ethernet.LARGEST_FRAME]


def check(payload: Span[u8], address: u32, mask: u32) -> u8:
    """Whether `payload` (of an Ethernet frame) is an ARP packet that the host `address` may believe: the reason it is
    dropped, or Drop.NONE. A sender address of zero is a probe (RFC 5227): to be answered, not learnt.
    """
    if len(payload) < LENGTH:
        return Drop.ARP_MALFORMED
    packet = view(Packet, payload)
    if packet.hardware != ETHERNET or packet.hardware_length != 6:
        return Drop.ARP_MALFORMED
    if packet.protocol != ethernet.IPV4 or packet.protocol_length != 4:
        return Drop.ARP_MALFORMED
    if packet.operation != REQUEST and packet.operation != REPLY:
        return Drop.ARP_MALFORMED
    station = packet.sender_station.number()
    if station == 0 or station & ethernet.GROUP:
        return Drop.ARP_MALFORMED
    sender = packet.sender_address
    if sender == address:
        return Drop.ARP_CONFLICT
    if sender == 0 and packet.operation == REQUEST:
        return Drop.NONE
    if (sender ^ address) & mask or not ipv4.can_be_answered(sender, address, mask):
        return Drop.ARP_MALFORMED  # not one of our network
    return Drop.NONE


def write(payload: Span[u8], operation: u16, station: u64, address: u32, to_station: u64, to_address: u32) -> None:
    """Write a packet of ours (`station`, `address`) into `payload`."""
    packet = view(Packet, payload)
    packet.hardware = ETHERNET
    packet.protocol = ethernet.IPV4
    packet.hardware_length = 6
    packet.protocol_length = 4
    packet.operation = operation
    packet.sender_station.put(station)
    packet.sender_address = address
    packet.target_station.put(to_station)
    packet.target_address = to_address


def find(table: Span[Neighbour], address: u32) -> u64:
    """The row of `address`; len(table) when there is none."""
    for i in range(len(table)):
        if table[i].state != FREE and table[i].address == address:
            return i
    return len(table)


def choose(table: Span[Neighbour]) -> u64:
    """The row to give away for a new neighbour: a free one, else the one nearest its end."""
    chosen: u64 = 0
    for i in range(len(table)):
        if table[i].state == FREE:
            return i
        if table[i].deadline < table[chosen].deadline:
            chosen = i
    return chosen
