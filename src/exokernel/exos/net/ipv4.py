# SPDX-License-Identifier: MIT
"""IPv4 (RFC 791, RFC 1122 section 3): check a datagram that arrived, write the header of one that leaves. Options are
skipped, not obeyed; fragments are recognised, not joined (the caller counts them). Pure: no state, no hardware.
Addresses are numbers, 10.0.2.15 = 0x0a00020f.
"""

from exokernel.exos.net import checksum
from exokernel.exos.net.drop import Drop
from exokernel.metal import Span, byte_swap, inline, struct, u8, u16, u16be, u32, u32be, u64, view

HEADER = 20
LIMITED_BROADCAST = 0xFFFF_FFFF
DONT_FRAGMENT = 0x4000
FRAGMENT = 0x3FFF  # "more fragments" and the offset: either one non-zero makes a fragment
TIME_TO_LIVE = 64
VERSION_AND_WORDS = 0x45  # without options
# What `write` always writes, summed up in the machine's byte order.
UNCHANGING = VERSION_AND_WORDS + (DONT_FRAGMENT >> 8) + TIME_TO_LIVE

ICMP = 1
TCP = 6
UDP = 17


@struct(packed=True)
class Header:
    version_and_words: u8
    service: u8
    total_length: u16be
    identification: u16be
    flags_and_offset: u16be
    time_to_live: u8
    protocol: u8
    checksum: u16be
    source: u32be
    destination: u32be

    def length(self) -> u64:
        """Bytes of the header, options included."""
        return u64(self.version_and_words & 15) << 2


def check(packet: Span[u8], address: u32, mask: u32) -> u8:
    """Whether `packet` (which may have padding behind it) is a whole datagram for the host `address`: the reason it is
    dropped, or Drop.NONE; then header.length() <= total_length <= len(packet). A time to live of 0 or 1 is no reason at
    the destination (RFC 1122 section 3.2.1.7).
    """
    if len(packet) < HEADER:
        return Drop.IPV4_LENGTH
    header = view(Header, packet)
    if header.version_and_words >> 4 != 4:
        return Drop.IPV4_VERSION
    length = header.length()
    if length < HEADER or length > len(packet):
        return Drop.IPV4_HEADER_LENGTH
    if header.total_length < length or header.total_length > len(packet):
        return Drop.IPV4_TOTAL_LENGTH
    total = checksum.of_twenty(packet) if length == HEADER else checksum.add(0, packet[:length])
    if checksum.fold(total) != 0xFFFF:
        return Drop.IPV4_CHECKSUM
    if header.destination != address:
        return Drop.IPV4_DESTINATION
    if not can_be_answered(header.source, address, mask):
        return Drop.IPV4_SOURCE
    if header.flags_and_offset & FRAGMENT:
        return Drop.IPV4_FRAGMENT
    return Drop.NONE


def can_be_answered(source: u32, address: u32, mask: u32) -> bool:
    """Whether `source` can be one other host, seen from the host `address` (RFC 1122 section 3.2.1.3)."""
    if source >> 28 >= 14 or source >> 24 == 127 or source >> 24 == 0:
        return False  # groups, class E, limited broadcast; loopback; "this network"
    if source == address:
        return False
    if (source ^ address) & mask:
        return True
    host = source & (mask ^ 0xFFFF_FFFF)
    return host != 0 and host != mask ^ 0xFFFF_FFFF  # our network's own number and its broadcast


def write(packet: Span[u8], source: u32, destination: u32, protocol: u8) -> None:
    """Write the header of `packet`, a whole datagram without options. It is not to be fragmented, so it needs no
    identification (RFC 6864 section 4.1).
    """
    header = view(Header, packet)
    header.version_and_words = VERSION_AND_WORDS
    header.service = 0
    header.total_length = u16(len(packet))
    header.identification = 0
    header.flags_and_offset = DONT_FRAGMENT
    header.time_to_live = TIME_TO_LIVE
    header.protocol = protocol
    header.checksum = checksum.finish(pseudo_header(source, destination, protocol, len(packet)) + UNCHANGING)
    header.source = source
    header.destination = destination


@inline
def pseudo_header(source: u32, destination: u32, protocol: u8, length: u64) -> u64:
    """The checksum's start for the protocols above (RFC 768, RFC 9293 section 3.1): a running sum for checksum.add."""
    return u64(byte_swap(source)) + byte_swap(destination) + (u64(protocol) << 8) + byte_swap(u16(length))
