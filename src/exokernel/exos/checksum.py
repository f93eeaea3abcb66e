# SPDX-License-Identifier: MIT
"""The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words. Sums are kept in
64 bits with the carry brought round, in the machine's own byte order; the order is put right once, when the sum is
folded (RFC 1071 section 2(B)). Pure: no state, no hardware.
"""

from exokernel.metal import Span, byte_swap, inline, struct, u8, u16, u32, u64, view


@struct(packed=True)
class Word:
    """Four bytes at any address."""

    value: u32


@struct(packed=True)
class Block:
    """Thirty-two of them."""

    first: u64
    second: u64
    third: u64
    fourth: u64


@inline
def with_carry(total: u64, word: u64) -> u64:
    """Their one's complement sum."""
    total += word
    return total + u64(total < word)


def add(total: u64, data: Span[u8]) -> u64:
    """The running sum `total` with `data` added. Only the last piece of a message may have an odd length, which counts
    as if a zero byte followed.
    """
    length = len(data)
    offset: u64 = 0
    while offset + 32 <= length:
        block = view(Block, data, offset)
        total = with_carry(total, block.first)
        total = with_carry(total, block.second)
        total = with_carry(total, block.third)
        total = with_carry(total, block.fourth)
        offset += 32
    while offset + 4 <= length:
        total = with_carry(total, u64(view(Word, data, offset).value))
        offset += 4
    if offset + 2 <= length:
        total = with_carry(total, data[offset] + (u64(data[offset + 1]) << 8))
        offset += 2
    if offset < length:
        total = with_carry(total, u64(data[offset]))
    return total


def fold(total: u64) -> u16:
    """The 16-bit one's complement sum as a number: 0xffff for a message that includes a right checksum."""
    total = (total & 0xFFFF_FFFF) + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return byte_swap(u16(total))


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
