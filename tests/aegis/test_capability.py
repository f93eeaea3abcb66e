# SPDX-License-Identifier: MIT
"""Capabilities: the hash against its paper, and what no sequence of words may achieve."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from exokernel.aegis import capability
from exokernel.metal import native
from exokernel.metal.types import u64

compiled = native.compile_functions([capability.mac_of, capability.is_weaker, capability.is_genuine])
words = st.integers(0, 2**64 - 1)
KEY = tuple(int.from_bytes(bytes(range(8 * i, 8 * i + 8)), "little") for i in range(2))


def siphash(low: int, high: int, message: bytes) -> int:
    """The simulated hash of any message, padded as the paper says."""
    state = capability.Hash()
    state.begin(u64(low), u64(high))
    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) % 256])
    for i in range(0, len(padded), 8):
        state.absorb(u64(int.from_bytes(padded[i : i + 8], "little")))
    return int(state.finish())


def test_the_vector_of_the_papers_appendix_a() -> None:
    assert siphash(*KEY, bytes(range(15))) == 0xA129CA6149BE45E5


def test_vectors_of_the_reference_implementation() -> None:
    """Those of the messages of 0, 1, 8 and 63 bytes."""
    expected = {0: "310e0edd47db6f72", 1: "fd67dc93c539f874", 8: "6224939a79f5f593", 63: "724506eb4c328a95"}
    for length, digest in expected.items():
        assert siphash(*KEY, bytes(range(length))).to_bytes(8, "little").hex() == digest


@given(words, words, words, words)
def test_a_mac_is_the_hash_of_the_two_words_and_no_error(low: int, high: int, name: int, rights: int) -> None:
    message = name.to_bytes(8, "little") + rights.to_bytes(8, "little")
    mac = compiled.mac_of(low, high, name, rights)
    assert mac == siphash(low, high, message) & 2**63 - 1 and compiled.is_genuine(low, high, name, rights, mac)


@given(words, words, words, words, words, words)
def test_what_was_changed_is_not_genuine(low: int, high: int, name: int, rights: int, mask: int, mac: int) -> None:
    """Chance would accept one forgery in 2**63."""
    genuine = compiled.mac_of(low, high, name, rights)
    assume(mask != 0)
    assert not compiled.is_genuine(low, high, name ^ mask, rights, genuine)
    assert not compiled.is_genuine(low, high, name, rights ^ mask, genuine)
    assert not compiled.is_genuine(low ^ mask, high, name, rights, genuine)
    assert compiled.is_genuine(low, high, name, rights, mac) == (mac == genuine)


@given(words, words)
def test_weaker_has_no_right_more_and_the_same_generation(rights: int, fewer: int) -> None:
    for wanted in (fewer, fewer & 0xFFFFFFFF | rights & ~0xFFFFFFFF, fewer & rights | rights & ~0xFFFFFFFF):
        allowed = wanted >> 32 == rights >> 32 and wanted & rights & 0xFFFFFFFF == wanted & 0xFFFFFFFF
        assert compiled.is_weaker(rights, wanted) == allowed
