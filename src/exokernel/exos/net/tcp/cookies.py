# SPDX-License-Identifier: MIT
"""SYN cookies (RFC 4987 section 3.6): the answer to a SYN when too many connections are half open, so that nothing need
be kept until the peer has shown that it is where it says.
"""

from exokernel.exos.net.tcp import segment, siphash
from exokernel.exos.net.tcp.connection import Host
from exokernel.exos.net.tcp.segment import DEFAULT_LARGEST, LARGEST, Arrival, Flag
from exokernel.exos.net.tcp.sending import first_window
from exokernel.exos.net.tcp.sequence import Sequence
from exokernel.metal import Span, u8, u16, u32, u64, view

COOKIE_PERIOD = 64  # seconds
LARGEST_OF_COOKIE = (DEFAULT_LARGEST, 1220, 1440, LARGEST)


def wanted(host: Host) -> bool:
    """Whether a quarter of the rows is half open."""
    return u64(host.half_open) * 4 > len(host.connections)


def cookie(host: Host, address: u32, ports: u32, sequence: Sequence, period: u64, index: u32) -> Sequence:
    """A SYN's answer that needs no memory: what the peer has to bring back says when it was made and which of four
    segment sizes was agreed, and 25 bits of it cannot be guessed.
    """
    name = (u64(address) << 32) | ports
    rest = (u64(sequence.raw) << 32) | (period << 2) | index
    value = u32(siphash.of_words(host.key1, host.key0, name, rest)) >> 7
    return Sequence((u32(period & 31) << 27) | (index << 25) | value)


def send_cookie(
    host: Host, station: u64, source: u32, packet: Span[u8], arrival: Arrival, largest: u16, now: u64
) -> None:
    """Too many connections are half open: answer without keeping anything. Scale and selective acknowledgments are
    lost on this connection.
    """
    host.cookies += 1
    host.cookies_until = now + 2 * COOKIE_PERIOD * host.second
    header = view(segment.Header, packet)
    ours = (u32(header.destination_port) << 16) | header.source_port
    sequence = cookie_for(host, source, packet, arrival, largest, now)
    output = host.output()
    end = segment.HEADER + segment.write_syn_options(output[segment.HEADER :], segment.NO_SCALE, selective=False)
    segment.write(
        output[:end], ours, sequence, arrival.sequence.plus(1), end, Flag.SYN | Flag.ACK, first_window(host),
        host.address, source,
    )  # fmt: skip
    host.transmit(source, station, end, now)


def cookie_for(host: Host, source: u32, packet: Span[u8], arrival: Arrival, largest: u16, now: u64) -> Sequence:
    """The cookie for the SYN in `packet`."""
    header = view(segment.Header, packet)
    index: u32 = 0
    if largest >= LARGEST:
        index = 3
    elif largest >= 1440:
        index = 2
    elif largest >= 1220:
        index = 1
    period = now // (COOKIE_PERIOD * host.second)
    theirs = (u32(header.source_port) << 16) | header.destination_port
    return cookie(host, source, theirs, arrival.sequence, period, index)


def check_cookie(host: Host, source: u32, port: u16, local_port: u16, arrival: Arrival, now: u64) -> u16:
    """The segment size that a cookie brings back; 0 if it is none of ours or too old."""
    value = arrival.acknowledgment.minus(1)
    period = now // (COOKIE_PERIOD * host.second)
    age = (period - (value.raw >> 27)) & 31
    if age > 1 or age > period:
        return 0
    index = value.raw >> 25 & 3
    ports = (u32(port) << 16) | local_port
    if cookie(host, source, ports, arrival.sequence.minus(1), period - age, index) != value:
        return 0
    if index == 0:
        return LARGEST_OF_COOKIE[0]
    if index == 1:
        return LARGEST_OF_COOKIE[1]
    return LARGEST_OF_COOKIE[2] if index == 2 else LARGEST_OF_COOKIE[3]
