# SPDX-License-Identifier: MIT
"""The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words. Sums are kept in
64 bits with the carry brought round, in the machine's own byte order; the order is put right once, when the sum is
folded (RFC 1071 section 2(B)). Pure: no state, no hardware.
"""

from exokernel.metal import (
    Ptr,
    Span,
    add_end_around,
    addr,
    byte_swap,
    inline,
    rotate_left,
    struct,
    u8,
    u16,
    u32,
    u64,
    view,
)


@struct(packed=True)
class Words:
    """Bytes at any address, as the next ones."""

    first: u64
    second: u64
    third: u64
    fourth: u64


@struct(packed=True)
class Word:
    value: u64


@struct(packed=True)
class Half:
    value: u32


@struct(packed=True)
class Quarter:
    value: u16


@struct(packed=True)
class Twenty:
    """An IPv4 header without options."""

    first: u64
    second: u64
    third: u32


@inline
def of_twenty(data: Span[u8]) -> u64:
    """The running sum of the first twenty bytes."""
    words = view(Twenty, data)
    return add_end_around(add_end_around(words.first, words.second), words.third)


def add(total: u64, data: Span[u8]) -> u64:
    """The running sum `total` with `data` added. Only the last piece of a message may have an odd length, which counts
    as if a zero byte followed.
    """
    left = len(data)
    if left == 0:
        return total
    place = Ptr[u8](addr(data[0]))
    while left >= 32:
        words = Ptr[Words](place)[0]
        total = add_end_around(total, words.first)
        total = add_end_around(total, words.second)
        total = add_end_around(total, words.third)
        total = add_end_around(total, words.fourth)
        place += 32
        left -= 32
    if left & 16:
        total = add_end_around(total, Ptr[Word](place)[0].value)
        total = add_end_around(total, Ptr[Word](place)[1].value)
        place += 16
    if left & 8:
        total = add_end_around(total, Ptr[Word](place)[0].value)
        place += 8
    if left & 4:
        total = add_end_around(total, u64(Ptr[Half](place)[0].value))
        place += 4
    if left & 2:
        total = add_end_around(total, u64(Ptr[Quarter](place)[0].value))
        place += 2
    if left & 1:
        total = add_end_around(total, u64(place[0]))
    return total


def fold(total: u64) -> u16:
    """The 16-bit one's complement sum as a number: 0xffff for a message that includes a right checksum."""
    low = u32(total)
    half = low + u32(total >> 32)
    half += u32(half < low)
    return byte_swap(u16((half + rotate_left(half, 16)) >> 16))  # the carry of the lower halves' sum comes round


def finish(total: u64) -> u16:
    """The value for the checksum field of a message in which that field was zero while summing."""
    return fold(total) ^ 0xFFFF


@inline
def changed(value: u16, before: u32, after: u32) -> u16:
    """The checksum field `value` of a message in which two aligned words that were `before` are `after` (RFC 1624,
    equation 3). As numbers on the wire.
    """
    total = (
        u32(value ^ 0xFFFF) + (before >> 16 ^ 0xFFFF) + (before & 0xFFFF ^ 0xFFFF) + (after >> 16) + (after & 0xFFFF)
    )
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return u16(total) ^ 0xFFFF
