# SPDX-License-Identifier: MIT
"""DNS for a client (RFC 1035): write the question for a name's IPv4 address, read the answer. Pure. Only the answer to
the very question is believed; aliases are followed within it. `hosts.resolve` is what an application calls.
"""

from exokernel.metal import Span, struct, u8, u16, u16be, u32, u32be, u64, view

PORT = 53
HEADER = 12
LARGEST_NAME = 253
LARGEST = 512  # bytes of a message over UDP
ADDRESS = 1  # type A
ALIAS = 5  # CNAME
INTERNET = 1
RECORD = 10  # bytes
JUMPS = 16  # of a compressed name that are followed
ALIASES = 8

# Answers of `read` instead of an address
NOT_OURS = 0  # it answers something else: go on waiting
NO_SUCH_NAME = 1
FAILED = 2


@struct(packed=True)
class Header:
    identification: u16be
    flags: u16be
    questions: u16be
    answers: u16be
    authorities: u16be
    additional: u16be


@struct(packed=True)
class Record:
    """What follows the name of an answer."""

    kind: u16be
    family: u16be
    seconds: u32be
    length: u16be


@struct(packed=True)
class Number:
    value: u32be


@struct(packed=True)
class Half:
    value: u16be


def write(message: Span[u8], name: bytes, identification: u16) -> u64:
    """Write the question for `name` into `message` (LARGEST bytes); its length, 0 if that is no name."""
    if len(name) == 0 or len(name) > LARGEST_NAME:
        return 0
    message[:HEADER].fill(0)
    header = view(Header, message)
    header.identification = identification
    header.flags = 0x0100  # recursion is wanted
    header.questions = 1
    end: u64 = HEADER
    start: u64 = 0
    while start < len(name):
        stop = start
        while stop < len(name) and name[stop] != 46:
            stop += 1
        if stop == start or stop - start > 63:
            return 0
        message[end] = u8(stop - start)
        for i in range(start, stop):
            message[end + 1 + i - start] = name[i]
        end += 1 + stop - start
        start = stop + 1
    message[end] = 0
    view(Half, message, end + 1).value = ADDRESS
    view(Half, message, end + 3).value = INTERNET
    return end + 5


def read(message: Span[u8], question: Span[u8]) -> u32:
    """The address that `message` gives for `question` (as `write` wrote it), or NOT_OURS, NO_SUCH_NAME or FAILED."""
    if len(message) < len(question):
        return NOT_OURS
    header = view(Header, message)
    if header.identification != view(Header, question).identification or header.flags & 0xF800 != 0x8000:
        return NOT_OURS
    if header.questions != 1 or not same_name(message, HEADER, question, HEADER):
        return NOT_OURS
    place = after_name(message, HEADER) + 4
    if place > len(message) or view(Half, message, place - 4).value != ADDRESS:
        return NOT_OURS
    if header.flags & 15 == 3:
        return NO_SUCH_NAME
    if header.flags & 15 != 0:
        return FAILED
    start = place
    wanted: u64 = HEADER  # where in the message the name stands that is looked for
    for _ in range(ALIASES):
        place = start
        alias: u64 = 0
        for _ in range(header.answers):
            owner = place
            place = after_name(message, place)
            if place + RECORD > len(message):
                return FAILED
            record = view(Record, message, place)
            place += RECORD
            length = u64(record.length)
            if place + length > len(message):
                return FAILED
            if record.family == INTERNET and same_name(message, owner, message, wanted):
                if record.kind == ADDRESS and length == 4:
                    address = view(Number, message, place).value
                    return address if address > FAILED else u32(FAILED)
                if record.kind == ALIAS:
                    alias = place
            place += length
        if alias == 0:
            return NO_SUCH_NAME
        wanted = alias
    return FAILED


def after_name(message: Span[u8], place: u64) -> u64:
    """The place behind the name that stands at `place`; beyond the message if it does not end there."""
    while place < len(message):
        length = message[place]
        if length == 0:
            return place + 1
        if length >= 192:
            return place + 2
        place += 1 + u64(length)
    return len(message) + 1


def follow(message: Span[u8], place: u64) -> u64:
    """The place of the label that is meant at `place`, pointers followed; beyond the message if there is none."""
    for _ in range(JUMPS):
        if place >= len(message) or message[place] < 64:
            return place
        if message[place] < 192 or place + 1 >= len(message):
            break
        place = u64(view(Half, message, place).value & 0x3FFF)
    return len(message)


def same_name(message: Span[u8], place: u64, other: Span[u8], other_place: u64) -> bool:
    """Whether two names are the same, in letters of whatever size."""
    for _ in range(LARGEST_NAME):
        place = follow(message, place)
        other_place = follow(other, other_place)
        if place >= len(message) or other_place >= len(other) or message[place] != other[other_place]:
            return False
        length = u64(message[place])
        if length == 0:
            return True
        if place + length >= len(message) or other_place + length >= len(other):
            return False
        for i in range(1, length + 1):
            if small(message[place + i]) != small(other[other_place + i]):
                return False
        place += 1 + length
        other_place += 1 + length
    return False


def small(byte: u8) -> u8:
    return byte | 32 if byte >= 65 and byte <= 90 else byte
