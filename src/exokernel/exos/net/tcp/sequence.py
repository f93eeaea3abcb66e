# SPDX-License-Identifier: MIT
"""TCP's sequence numbers (RFC 9293 section 3.4) as a type of their own: they count modulo 2^32, so "less than" has no
meaning, "before" has, and nothing but these methods can be done with one. Two numbers that are compared lie less than
2^31 apart; `within` compares without that assumption.
"""

from exokernel.metal import bits, i32, inline, u32


@bits(u32)
class Sequence:
    """The number of a byte in a stream, of a SYN or of a FIN."""

    @inline
    def plus(self, count: u32) -> "Sequence":
        return Sequence(self.raw + count)

    @inline
    def minus(self, count: u32) -> "Sequence":
        return Sequence(self.raw - count)

    @inline
    def since(self, earlier: "Sequence") -> u32:
        """How many numbers `earlier`, which is not after this one, is behind."""
        return self.raw - earlier.raw

    @inline
    def before(self, other: "Sequence") -> bool:
        return i32(self.raw - other.raw) < 0

    @inline
    def after(self, other: "Sequence") -> bool:
        return i32(self.raw - other.raw) > 0

    @inline
    def within(self, start: "Sequence", length: u32) -> bool:
        """Whether it is one of the `length` numbers from `start` on."""
        return self.raw - start.raw < length
