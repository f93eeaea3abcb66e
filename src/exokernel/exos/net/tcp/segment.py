# SPDX-License-Identifier: MIT
"""TCP segments (RFC 9293 section 3.1): check one that arrived, read its options, write the header of one that leaves.
Pure: no state, no hardware. The options known are the largest segment, the window's scale, timestamps, and that
selective acknowledgments are allowed, with their blocks (RFC 7323, RFC 2018); others are skipped.
"""

from enum import IntFlag

from exokernel.exos.net import checksum, ipv4
from exokernel.exos.net.drop import Drop
from exokernel.exos.net.tcp.sequence import Sequence
from exokernel.metal import Span, inline, struct, u8, u16, u16be, u32, u32be, u64, view

HEADER = 20
LARGEST = 1460  # bytes of a segment: Ethernet's 1500 without the headers
DEFAULT_LARGEST = 536  # for a peer that says nothing (RFC 9293 section 3.7.1)
LARGEST_SCALE = 14
NO_SCALE = 255
BLOCK = 8  # bytes of one selective acknowledgment
BLOCKS_HEADER = 4  # two of padding, kind and length

END = 0
NOTHING = 1
LARGEST_SEGMENT = 2
SCALE = 3
SELECTIVE_ALLOWED = 4
SELECTIVE = 5
STAMPS = 8
STAMPS_LENGTH = 12  # bytes of the timestamps, with two of padding before them
STAMPS_HEAD = 0x0101_080A  # how nearly everybody begins them (RFC 7323 appendix A)


class Flag(IntFlag):
    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16
    URG = 32


@struct(packed=True)
class Header:
    source_port: u16be
    destination_port: u16be
    sequence: u32be
    acknowledgment: u32be
    offset: u8  # of the data, in words, from bit 4 on
    flags: u8
    window: u16be
    checksum: u16be
    urgent: u16be

    def length(self) -> u64:
        """Bytes of the header, options included."""
        return u64(self.offset >> 4) << 2


@struct(packed=True)
class Half:
    """Two bytes at any address."""

    value: u16be


@struct(packed=True)
class Whole:
    """Four."""

    value: u32be


@struct(packed=True)
class Stamps:
    """Timestamps: the sender's clock, and what it last had of the receiver's."""

    head: u32be
    value: u32be
    echo: u32be


@struct(packed=True)
class Block:
    """A selective acknowledgment: the numbers from `start` up to, not including, `end`."""

    start: u32be
    end: u32be


@struct
class Options:
    """What a SYN says. `largest` is 0 and `scale` NO_SCALE when it says nothing about them."""

    largest: u16
    scale: u8
    selective: bool
    stamped: bool
    stamp: u32  # of the peer's clock
    echo: u32  # of ours


@struct
class Arrival:
    """A segment taken apart; `start` and `end` are where its data are in the packet. `stamp` and `echo` are read where
    both sides send timestamps.
    """

    sequence: Sequence
    acknowledgment: Sequence
    window: u32
    flags: u8
    options: u64  # their end
    start: u64
    end: u64
    stamp: u32
    echo: u32
    echoes: bool  # `echo` is our clock when we sent what is acknowledged


def check(segment: Span[u8], source: u32, destination: u32) -> u8:
    """Whether `segment` (the payload of an IPv4 datagram between these addresses) is sound: the reason it is dropped,
    or Drop.NONE; then 20 <= length() <= len(segment).
    """
    if len(segment) < HEADER:
        return Drop.TCP_LENGTH
    header = view(Header, segment)
    if header.length() < HEADER or header.length() > len(segment):
        return Drop.TCP_LENGTH
    pseudo = ipv4.pseudo_header(source, destination, ipv4.TCP, len(segment))
    if checksum.fold(checksum.add(pseudo, segment)) != 0xFFFF:
        return Drop.TCP_CHECKSUM
    if header.source_port == 0 or header.destination_port == 0:
        return Drop.TCP_PORT
    return Drop.NONE


def next_option(data: Span[u8], i: u64) -> u64:
    """Where the first option from `i` on lies, which has a length and ends within `data`; the length of `data` if there is
    none (RFC 9293 section 3.1).
    """
    while i < len(data) and data[i] == NOTHING:
        i += 1
    if i + 1 >= len(data) or data[i] == END or data[i + 1] < 2 or i + data[i + 1] > len(data):
        return len(data)
    return i


def read_options(data: Span[u8], options: Options) -> None:
    """Read the options of a SYN. An option that does not end within `data` ends the reading."""
    options.largest = 0
    options.scale = NO_SCALE
    options.selective = False
    options.stamped = False
    i = next_option(data, 0)
    while i < len(data):
        kind = data[i]
        length = data[i + 1]
        if kind == LARGEST_SEGMENT and length == 4:
            options.largest = view(Half, data, i + 2).value
        elif kind == SCALE and length == 3:
            options.scale = min(data[i + 2], LARGEST_SCALE)  # RFC 7323 section 2.3
        elif kind == SELECTIVE_ALLOWED and length == 2:
            options.selective = True
        elif kind == STAMPS and length == 10:
            options.stamped = True
            options.stamp = view(Whole, data, i + 2).value
            options.echo = view(Whole, data, i + 6).value
        i = next_option(data, i + length)


@inline
def find_stamps(segment: Span[u8], arrival: Arrival) -> bool:
    """Read the timestamps among the options of a segment; whether they are there."""
    if arrival.options >= HEADER + STAMPS_LENGTH:
        stamps = view(Stamps, segment, HEADER)
        if stamps.head == STAMPS_HEAD:
            arrival.stamp = stamps.value
            arrival.echo = stamps.echo
            return True
    return search_stamps(segment[HEADER : arrival.options], arrival)


def search_stamps(data: Span[u8], arrival: Arrival) -> bool:
    """The same where they are not where nearly everybody has them."""
    options = Options()
    read_options(data, options)
    arrival.stamp = options.stamp
    arrival.echo = options.echo
    return options.stamped


@inline
def write_stamps(segment: Span[u8], offset: u64, value: u32, echo: u32) -> None:
    """Write STAMPS_LENGTH bytes of options at an offset: our clock, and the peer's."""
    stamps = view(Stamps, segment, offset)
    stamps.head = STAMPS_HEAD
    stamps.value = value
    stamps.echo = echo


def find_blocks(data: Span[u8]) -> Span[u8]:
    """The selective acknowledgments among the options of a segment: whole `Block`s, or nothing."""
    i = next_option(data, 0)
    while i < len(data):
        length = u64(data[i + 1])
        if data[i] == SELECTIVE and (length - 2) % BLOCK == 0:
            return data[i + 2 : i + length]
        i = next_option(data, i + length)
    return data[:0]


def write_syn_options(data: Span[u8], scale: u8, selective: bool) -> u64:
    """Write the options of a SYN; how many bytes they are, a multiple of four. NO_SCALE leaves the scale out."""
    data[0] = LARGEST_SEGMENT
    data[1] = 4
    view(Half, data, 2).value = LARGEST
    end: u64 = 4
    if selective:
        data[end] = NOTHING
        data[end + 1] = NOTHING
        data[end + 2] = SELECTIVE_ALLOWED
        data[end + 3] = 2
        end += 4
    if scale != NO_SCALE:
        data[end] = NOTHING
        data[end + 1] = SCALE
        data[end + 2] = 3
        data[end + 3] = scale
        end += 4
    return end


def write(
    segment: Span[u8], ports: u32, sequence: Sequence, acknowledgment: Sequence, offset: u64, flags: u8, window: u16,
    source: u32, destination: u32,
) -> None:  # fmt: skip
    """Write the header of `segment`, whose options and data, from `offset` on, are in place already. `ports` has the
    source's in its upper half.
    """
    header = view(Header, segment)
    header.source_port = u16(ports >> 16)
    header.destination_port = u16(ports)
    header.sequence = sequence.raw
    header.acknowledgment = acknowledgment.raw
    header.offset = u8(offset << 2)
    header.flags = flags
    header.window = window
    header.checksum = 0
    header.urgent = 0
    pseudo = ipv4.pseudo_header(source, destination, ipv4.TCP, len(segment))
    header.checksum = checksum.finish(checksum.add(pseudo, segment))
