# SPDX-License-Identifier: MIT
"""ICMP (RFC 792, RFC 1122 section 3.2.2): the echo service and "port unreachable". Pure: it checks and writes messages;
that none is ever sent to a group, a broadcast or in answer to an error is the work of ipv4.check and of the caller.
"""

from exokernel.exos.net import checksum
from exokernel.exos.net.drop import Drop
from exokernel.metal import Span, struct, u8, u16be, u32be, view

HEADER = 8
ECHO_REPLY = 0
UNREACHABLE = 3
ECHO = 8
PORT = 3  # the code that says what is unreachable
QUOTED = 8  # bytes of the offending datagram's payload that an error carries


@struct(packed=True)
class Header:
    kind: u8
    code: u8
    checksum: u16be
    rest: u32be  # identifier and sequence number of an echo; zero in an error


def check(message: Span[u8]) -> u8:
    """Whether `message` is an echo request to be answered: the reason it is dropped, or Drop.NONE."""
    if len(message) < HEADER:
        return Drop.ICMP_LENGTH
    if checksum.fold(checksum.add(0, message)) != 0xFFFF:
        return Drop.ICMP_CHECKSUM
    header = view(Header, message)
    if header.kind != ECHO or header.code != 0:
        return Drop.ICMP_KIND
    return Drop.NONE


def write_echo_reply(reply: Span[u8], request: Span[u8]) -> None:
    """Write the answer to `request` into `reply`, which is as long."""
    reply.copy_from(request)
    header = view(Header, reply)
    header.kind = ECHO_REPLY
    header.checksum = 0
    header.checksum = checksum.finish(checksum.add(0, reply))


def write_port_unreachable(error: Span[u8], quoted: Span[u8]) -> None:
    """Write the error about the datagram that begins with `quoted` (its header and up to 8 bytes) into `error`, which
    is 8 bytes longer.
    """
    header = view(Header, error)
    header.kind = UNREACHABLE
    header.code = PORT
    header.checksum = 0
    header.rest = 0
    error[HEADER:].copy_from(quoted)
    header.checksum = checksum.finish(checksum.add(0, error))
