# SPDX-License-Identifier: MIT
"""Joining the fragments of IPv4 datagrams (RFC 791 section 3.2, RFC 1858, RFC 5722). The table is the caller's and does
not grow: when it is full the oldest datagram makes place; one that is not whole after half a minute goes. Nobody may
write a byte twice: a datagram whose fragments overlap is dropped whole. Pure: no clock is read here.
"""

from exokernel.exos.net import ipv4
from exokernel.exos.net.drop import Drop
from exokernel.metal import Array, Span, struct, u8, u16, u32, u64, view

LARGEST = 8192  # bytes of a joined datagram's payload
UNIT = 8  # what offsets count
LIFETIME = 30  # seconds
MORE = 0x2000
OFFSET = 0x1FFF
UNKNOWN = 0xFFFF_FFFF


@struct
class Datagram:
    """One row of the table; free when its time is over."""

    source: u32
    identification: u16
    protocol: u8
    deadline: u64
    total: u32  # bytes of payload, or UNKNOWN until the last fragment has come
    units: u32  # how many have come
    come: Array[u64, LARGEST // UNIT // 64]  # which, a bit each
    packet: Array[u8, ipv4.HEADER + LARGEST]  # with a header without options


def add(table: Span[Datagram], packet: Span[u8], now: u64, second: u64) -> tuple[u64, u8]:
    """Take a fragment that `ipv4.check` has found sound (but for being one). Returns a row and Drop.NONE when that row's
    `packet` is now whole: it is free again, and what it holds can be used until the next call. Otherwise len(table), and
    Drop.NONE while more is to come, or why the fragment is dropped.
    """
    header = view(ipv4.Header, packet)
    data = packet[header.length() : u64(header.total_length)]
    start = u64(header.flags_and_offset & OFFSET) * UNIT
    last = header.flags_and_offset & MORE == 0
    length = len(data)
    none = len(table)
    if length == 0 or start + length > LARGEST or (not last and length % UNIT != 0):
        return none, Drop.IPV4_FRAGMENT
    datagram = table[find(table, header, now, second)]
    first = start // UNIT
    end = (start + length + UNIT - 1) // UNIT
    fits = True
    for unit in range(first, end):
        if datagram.come[unit // 64] >> (unit % 64) & 1:
            fits = False
    if datagram.total != UNKNOWN and (last or start + length > datagram.total):
        fits = False
    if last:
        for unit in range(end, LARGEST // UNIT):
            if datagram.come[unit // 64] >> (unit % 64) & 1:
                fits = False
    if not fits:
        datagram.deadline = 0
        return none, Drop.IPV4_FRAGMENT
    for unit in range(first, end):
        datagram.come[unit // 64] |= u64(1) << (unit % 64)
    datagram.units += u32(end - first)
    place = ipv4.HEADER + start
    datagram.packet[place : place + length].copy_from(data)
    if start == 0:
        datagram.packet[: ipv4.HEADER].copy_from(packet[: ipv4.HEADER])
    if last:
        datagram.total = u32(start + length)
    if datagram.total == UNKNOWN or u64(datagram.units) * UNIT < datagram.total:
        return none, Drop.NONE
    whole = view(ipv4.Header, datagram.packet)
    whole.version_and_words = 0x45
    whole.total_length = u16(ipv4.HEADER + datagram.total)
    whole.flags_and_offset = 0
    datagram.deadline = 0
    return row_of(table, header), Drop.NONE


def row_of(table: Span[Datagram], header: ipv4.Header) -> u64:
    for i in range(len(table)):
        row = table[i]
        same = row.source == header.source and row.identification == header.identification
        if same and row.protocol == header.protocol:
            return i
    return len(table)


def find(table: Span[Datagram], header: ipv4.Header, now: u64, second: u64) -> u64:
    """The row of a fragment's datagram; a new one if there is none."""
    row = row_of(table, header)
    if row != len(table) and now < table[row].deadline:
        return row
    if row == len(table):
        row = 0
        for i in range(len(table)):
            if table[i].deadline < table[row].deadline:
                row = i
    fresh = table[row]
    fresh.source = header.source
    fresh.identification = header.identification
    fresh.protocol = header.protocol
    fresh.deadline = now + LIFETIME * second
    fresh.total = UNKNOWN
    fresh.units = 0
    fresh.come.fill(0)
    return row
