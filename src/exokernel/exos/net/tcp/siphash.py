# SPDX-License-Identifier: MIT
"""SipHash-2-4 (Aumasson and Bernstein, 2012) of two words: a number that only who has the key can foresee, for initial
sequence numbers (RFC 6528) and SYN cookies. Pure.
"""

from exokernel.metal import Array, rotate_left, u64

STATE = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
ENDING = 16 << 56  # the message's length in bytes, in the last word's highest byte


def of_words(key0: u64, key1: u64, first: u64, second: u64) -> u64:
    """The hash of the 16 bytes of `first` and `second`."""
    state = Array[u64, 4]([key0 ^ STATE[0], key1 ^ STATE[1], key0 ^ STATE[2], key1 ^ STATE[3]])
    absorb(state, first)
    absorb(state, second)
    absorb(state, ENDING)
    state[2] ^= 0xFF
    for _ in range(4):
        scramble(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def absorb(state: Array[u64, 4], word: u64) -> None:
    state[3] ^= word
    scramble(state)
    scramble(state)
    state[0] ^= word


def scramble(state: Array[u64, 4]) -> None:
    """One SipRound."""
    state[0] += state[1]
    state[2] += state[3]
    state[1] = rotate_left(state[1], 13) ^ state[0]
    state[3] = rotate_left(state[3], 16) ^ state[2]
    state[0] = rotate_left(state[0], 32)
    state[2] += state[1]
    state[0] += state[3]
    state[1] = rotate_left(state[1], 17) ^ state[2]
    state[3] = rotate_left(state[3], 21) ^ state[0]
    state[2] = rotate_left(state[2], 32)
