# SPDX-License-Identifier: MIT
"""Ethernet II frames (RFC 894), as the device hands them over: without preamble and frame check sequence. Pure: it
checks and lays out bytes and never sends. A station address is a number of 48 bits, first byte on the wire highest.
"""

from exokernel.exos.net.drop import Drop
from exokernel.metal import Span, offsetof, struct, u8, u16, u16be, u32, u32be, u64, u64be, view

HEADER = 14
LARGEST_PAYLOAD = 1500  # the MTU
LARGEST_FRAME = HEADER + LARGEST_PAYLOAD
SMALLEST_FRAME = 60  # shorter ones are padded with zeros
BROADCAST = 0xFFFF_FFFF_FFFF
GROUP = 1 << 40  # the first bit on the wire: broadcast and multicast

IPV4 = 0x0800
ARP = 0x0806


@struct(packed=True)
class Station:
    """A station's address on the wire."""

    high: u32be
    low: u16be

    def number(self) -> u64:
        return (u64(self.high) << 16) | self.low

    def put(self, number: u64) -> None:
        self.high = u32(number >> 16)
        self.low = u16(number)


@struct(packed=True)
class Header:
    destination: Station
    source: Station
    kind: u16be


@struct(packed=True)
class StationAndMore:
    """An address and the two bytes behind it, which are read and written faster together."""

    value: u64be


def destination_of(frame: Span[u8]) -> u64:
    return view(StationAndMore, frame).value >> 16


def source_of(frame: Span[u8]) -> u64:
    return view(StationAndMore, frame[offsetof(Header, "source") :]).value >> 16


def check(frame: Span[u8], station: u64) -> u8:
    """Whether `frame` is one for `station` (or for all): the reason it is dropped, or Drop.NONE."""
    if len(frame) < HEADER or len(frame) > LARGEST_FRAME:
        return Drop.ETHERNET_LENGTH
    source = source_of(frame)
    if source & GROUP != 0 or source == 0:
        return Drop.ETHERNET_SOURCE
    destination = destination_of(frame)
    if destination != station and destination != BROADCAST:
        return Drop.ETHERNET_DESTINATION
    return Drop.NONE


def write(frame: Span[u8], destination: u64, source: u64, kind: u16) -> None:
    """Write the header of `frame`, in order: each field overwrites what the one before it wrote behind itself."""
    view(StationAndMore, frame).value = destination << 16
    view(StationAndMore, frame[offsetof(Header, "source") :]).value = source << 16
    view(Header, frame).kind = kind
