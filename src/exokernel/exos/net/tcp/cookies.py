# SPDX-License-Identifier: MIT
"""SYN cookies (RFC 4987 section 3.6): the answer to a SYN when too many connections are half open, so that nothing need
be kept until the peer has shown that it is where it says.
"""

from typing import Final

from exokernel.exos.net.tcp import segment, siphash
from exokernel.exos.net.tcp.connection import Host
from exokernel.exos.net.tcp.opening import scale_for
from exokernel.exos.net.tcp.segment import DEFAULT_LARGEST, LARGEST, Arrival, Flag, Options
from exokernel.exos.net.tcp.sending import first_window
from exokernel.exos.net.tcp.sequence import Sequence
from exokernel.metal import Array, Span, u8, u16, u32, u64, view

COOKIE_PERIOD = 64  # seconds
SIZES: Final[Array[u16, 4]] = Array[u16, 4]([DEFAULT_LARGEST, 1220, 1440, LARGEST])  # of segments: one is agreed
NO_SCALE = 15  # above segment.LARGEST_SCALE
SELECTIVE = 16
AGREED = 31  # the bits of a timestamp that say what else is agreed


def wanted(host: Host) -> bool:
    """Whether a quarter of the rows is half open."""
    return u64(host.half_open) * 4 > len(host.connections)


def reduce(options: Options) -> None:
    """What a cookie cannot bring back is not agreed: scale and selective acknowledgments without timestamps."""
    if not options.stamped:
        options.scale = segment.NO_SCALE
        options.selective = False


def can_keep(options: Options) -> bool:
    """Whether one of SIZES is not too large for the peer; who wants smaller segments has to wait."""
    return options.largest == 0 or options.largest >= SIZES[0]


def make(
    host: Host, source: u32, packet: Span[u8], sequence: Sequence, period: u64, index: u32, agreed: u32
) -> tuple[Sequence, u32]:
    """The number of a SYN that answers the peer's, of that number, in `packet`, and the offset of our timestamps. The
    peer has to bring the number back: it says when it was made and which of SIZES was agreed, and 25 bits of it
    cannot be guessed. What else was `agreed` comes back with the peer's echo of our clock, and is signed as well.
    """
    header = view(segment.Header, packet)
    name = (u64(source) << 32) | (u64(header.source_port) << 16) | header.destination_port
    rest = (u64(sequence.raw) << 32) | ((period & 0xFF_FFFF) << 8) | (agreed << 2) | index
    secret = siphash.of_words(host.key1, host.key0, name, rest)
    return Sequence((u32(period & 31) << 27) | (index << 25) | (u32(secret) >> 7)), u32(secret >> 32)


def for_syn(
    host: Host, source: u32, packet: Span[u8], arrival: Arrival, options: Options, now: u64
) -> tuple[Sequence, u32]:
    """The number and the offset that answer the SYN in `packet`, whose options were reduced."""
    index: u32 = 0
    while index < 3 and options.largest >= SIZES[index + 1]:
        index += 1
    return make(host, source, packet, arrival.sequence, period_of(host, now), index, agreed_with(options))


def period_of(host: Host, now: u64) -> u64:
    """How many COOKIE_PERIODs the clock has seen."""
    return now // (COOKIE_PERIOD * host.second)


def agreed_with(options: Options) -> u32:
    """What a SYN's options agree to, in six bits: AGREED, and whether there are timestamps."""
    scale = u32(NO_SCALE) if options.scale == segment.NO_SCALE else u32(options.scale)
    return scale | (u32(options.selective) << 4) | (u32(options.stamped) << 5)


def send(host: Host, station: u64, source: u32, packet: Span[u8], arrival: Arrival, options: Options, now: u64) -> None:
    """Answer a SYN, whose options were reduced, without keeping anything."""
    host.cookies += 1
    host.cookies_until = now + 2 * COOKIE_PERIOD * host.second
    header = view(segment.Header, packet)
    ours = (u32(header.destination_port) << 16) | header.source_port
    sequence, offset = for_syn(host, source, packet, arrival, options, now)
    output = host.output()
    scale = segment.NO_SCALE if options.scale == segment.NO_SCALE else scale_for(host)
    end = segment.HEADER + segment.write_syn_options(output[segment.HEADER :], scale, options.selective)
    if options.stamped:
        stamp = u32(now >> host.stamp_shift) + offset
        marked = (stamp & ~AGREED) | (agreed_with(options) & AGREED)
        if (stamp - marked) & 0x8000_0000 != 0:
            marked -= AGREED + 1  # the clock must not have to go back afterwards
        segment.write_stamps(output, end, marked, options.stamp)
        end += segment.STAMPS_LENGTH
    segment.write(
        output[:end], ours, sequence, arrival.sequence.plus(1), end, Flag.SYN | Flag.ACK, first_window(host),
        host.address, source,
    )  # fmt: skip
    host.transmit(source, station, end, now)


def check(host: Host, source: u32, packet: Span[u8], arrival: Arrival, options: Options, now: u64) -> tuple[u32, bool]:
    """Whether a segment brings back a cookie of ours that is not too old: then `options`, which are the segment's, become
    what was agreed. First comes the offset of our timestamps.
    """
    cookie = arrival.acknowledgment.minus(1)
    period = period_of(host, now)
    age = (period - (cookie.raw >> 27)) & 31
    if age > 1 or age > period:
        return 0, False
    index = cookie.raw >> 25 & 3
    agreed = (options.echo & AGREED) | (u32(options.stamped) << 5) if options.stamped else u32(NO_SCALE)
    made, offset = make(host, source, packet, arrival.sequence.minus(1), period - age, index, agreed)
    if made != cookie:
        return 0, False
    options.largest = SIZES[index]
    options.scale = segment.NO_SCALE if agreed & NO_SCALE == NO_SCALE else u8(agreed & NO_SCALE)
    options.selective = agreed & SELECTIVE != 0
    return offset, True
