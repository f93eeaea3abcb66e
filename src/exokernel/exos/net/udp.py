# SPDX-License-Identifier: MIT
"""UDP (RFC 768, RFC 1122 section 4.1): check a datagram that arrived, write the header of one that leaves. Pure: no
state, no hardware. `pseudo` is the running sum that ipv4.pseudo_header gives for the same addresses and length.
"""

from exokernel.exos.net import checksum, ipv4
from exokernel.exos.net.drop import Drop
from exokernel.metal import Span, struct, u8, u16, u16be, u32, view

HEADER = 8


@struct(packed=True)
class Header:
    source_port: u16be
    destination_port: u16be
    length: u16be
    checksum: u16be


def check(datagram: Span[u8], source: u32, destination: u32) -> u8:
    """Whether `datagram` (the payload of an IPv4 datagram between these addresses) is sound: the reason it is dropped,
    or Drop.NONE; then 8 <= length <= len(datagram). A checksum of zero means that the sender made none.
    """
    if len(datagram) < HEADER:
        return Drop.UDP_LENGTH
    header = view(Header, datagram)
    length = header.length
    if length < HEADER or length > len(datagram):
        return Drop.UDP_LENGTH
    if header.checksum != 0:
        pseudo = ipv4.pseudo_header(source, destination, ipv4.UDP, length)
        if checksum.fold(checksum.add(pseudo, datagram[:length])) != 0xFFFF:
            return Drop.UDP_CHECKSUM
    if header.destination_port == 0:
        return Drop.UDP_PORT
    return Drop.NONE


def write(datagram: Span[u8], source: u32, source_port: u16, destination: u32, destination_port: u16) -> None:
    """Write the header of `datagram`, whose payload is in place already."""
    header = view(Header, datagram)
    header.source_port = source_port
    header.destination_port = destination_port
    header.length = u16(len(datagram))
    header.checksum = 0
    pseudo = ipv4.pseudo_header(source, destination, ipv4.UDP, len(datagram))
    value = checksum.finish(checksum.add(pseudo, datagram))
    header.checksum = value if value != 0 else 0xFFFF  # zero on the wire says "none"
