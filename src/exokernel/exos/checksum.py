# SPDX-License-Identifier: MIT
"""The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words. Sums are kept in
64 bits with the carry brought round, in the machine's own byte order; the order is put right once, when the sum is
folded (RFC 1071 section 2(B)). Pure: no state, no hardware.
"""

from exokernel.metal import Span, add_end_around, byte_swap, struct, u8, u16, u32, u64, view


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


def add(total: u64, data: Span[u8]) -> u64:
    """The running sum `total` with `data` added. Only the last piece of a message may have an odd length, which counts
    as if a zero byte followed.
    """
    rest = data
    while len(rest) >= 32:
        block = view(Block, rest)
        total = add_end_around(total, block.first)
        total = add_end_around(total, block.second)
        total = add_end_around(total, block.third)
        total = add_end_around(total, block.fourth)
        rest = rest[32:]
    while len(rest) >= 4:
        total = add_end_around(total, view(Word, rest).value)
        rest = rest[4:]
    if len(rest) >= 2:
        total = add_end_around(total, rest[0] + (u64(rest[1]) << 8))
        rest = rest[2:]
    if len(rest) != 0:
        total = add_end_around(total, rest[0])
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
