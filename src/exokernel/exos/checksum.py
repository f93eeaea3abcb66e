# SPDX-License-Identifier: MIT
"""The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words. Sums are kept in
64 bits and in the machine's own byte order, four bytes a step; the order is put right once, when the sum is folded
(RFC 1071 section 2(B)). Pure: no state, no hardware.
"""

from exokernel.metal import Span, byte_swap, struct, u8, u16, u32, u64, view


@struct(packed=True)
class Word:
    """Four bytes at any address."""

    value: u32


def add(total: u64, data: Span[u8]) -> u64:
    """The running sum `total` with `data` added. Only the last piece of a message may have an odd length, which counts
    as if a zero byte followed. 2^32 words fit before the sum could overflow.
    """
    length = len(data)
    offset: u64 = 0
    while offset + 4 <= length:
        total += view(Word, data, offset).value
        offset += 4
    if offset + 2 <= length:
        total += data[offset] + (u64(data[offset + 1]) << 8)
        offset += 2
    if offset < length:
        total += data[offset]
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
