# SPDX-License-Identifier: MIT
"""The pure parts against independent judges: the checksum against big-number arithmetic, headers against scapy, lengths
of instructions against capstone, the heap's books against a Python dictionary.
"""

from __future__ import annotations

import random
import types
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exos.ways import WAYS, memory

from exokernel.exos import blocks, instructions
from exokernel.exos.net import checksum, icmp, interface, ipv4, udp
from exokernel.exos.net.drop import Drop
from exokernel.metal import u16

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers.inet import ICMP, IP, UDP, IPOption_NOP
    from scapy.packet import Raw

capstone = pytest.importorskip("capstone", reason="needs capstone, for the lengths of instructions")

ADDRESS = 0x0A000002
PEER = 0x0A000001
MASK = 0xFFFFFF00


def compile_all(way: Any) -> Any:
    return types.SimpleNamespace(
        checksum=way(checksum.add, checksum.finish),
        ipv4=way(ipv4.check, ipv4.write, ipv4.can_be_answered),
        udp=way(udp.check, udp.write),
        icmp=way(icmp.check, icmp.write_echo_reply),
        instructions=way(instructions.length),
        blocks=way(blocks.prepare, blocks.take, blocks.give_back, blocks.size_of),
    )


@pytest.fixture(scope="module", params=list(WAYS))
def code(request: pytest.FixtureRequest) -> Any:
    return compile_all(WAYS[request.param])


@pytest.fixture(scope="module")
def fast() -> Any:
    return compile_all(WAYS["native"])


def sum_by_arithmetic(data: bytes) -> int:
    """The one's complement sum of 16-bit words is the whole number modulo 0xffff."""
    number = int.from_bytes(data + b"\0" * (len(data) % 2), "big")
    return 0xFFFF ^ (number % 0xFFFF or (0xFFFF if number else 0))


@pytest.mark.parametrize("length", [*range(0, 20), 1500, 9001])
def test_checksum(code: Any, length: int) -> None:
    for data in (bytes(length), b"\xff" * length, random.Random(length).randbytes(length)):
        assert code.checksum.finish(code.checksum.add(0, memory(data))) == sum_by_arithmetic(data)


def test_checksum_of_pieces(code: Any) -> None:
    data = random.Random(1).randbytes(401)
    for cut in (0, 2, 20, 400):
        total = code.checksum.add(code.checksum.add(0, memory(data[:cut])), memory(data[cut:]))
        assert code.checksum.finish(total) == sum_by_arithmetic(data)


@given(data=st.binary(max_size=300))
@settings(deadline=None)
def test_checksum_of_anything(fast: Any, data: bytes) -> None:
    assert fast.checksum.finish(fast.checksum.add(0, memory(data))) == sum_by_arithmetic(data)


def test_checksum_of_the_longest_datagram(fast: Any) -> None:
    for data in (bytes(65535), b"\xff" * 65535):
        assert fast.checksum.finish(fast.checksum.add(0, memory(data))) == sum_by_arithmetic(data)


def dotted(number: int) -> str:
    return ".".join(str(b) for b in number.to_bytes(4, "big"))


def ip(**fields: Any) -> Any:
    return IP(src=dotted(PEER), dst=dotted(ADDRESS), **fields)


@pytest.mark.parametrize("length", [0, 1, 8, 1472])
def test_headers_are_those_of_scapy(code: Any, length: int) -> None:
    data = random.Random(length).randbytes(length)
    datagram = memory(bytes(8) + data)
    code.udp.write(datagram, PEER, 4000, ADDRESS, 7)
    packet = memory(bytes(20) + bytes(datagram))
    code.ipv4.write(packet, PEER, ADDRESS, ipv4.UDP)
    assert bytes(packet) == bytes(ip(id=0, flags="DF") / UDP(sport=4000, dport=7) / Raw(data))


@pytest.mark.parametrize("length", [0, 1, 8, 1472])
def test_scapys_packets_pass(code: Any, length: int) -> None:
    data = random.Random(length).randbytes(length)
    for header in (ip(), ip(options=[IPOption_NOP()] * 5), ip(ttl=1, tos=0x10, id=77)):
        packet = bytes(header / UDP(sport=4000, dport=7) / Raw(data))
        assert code.ipv4.check(memory(packet), ADDRESS, MASK) == Drop.NONE
        assert code.udp.check(memory(packet[(packet[0] & 15) * 4 :]), PEER, ADDRESS) == Drop.NONE
    request = memory(bytes(ICMP(type=8, id=5, seq=6) / Raw(data)))
    reply = memory(bytes(len(request)))
    assert code.icmp.check(request) == Drop.NONE
    code.icmp.write_echo_reply(reply, request)
    assert bytes(reply) == bytes(ICMP(type=0, id=5, seq=6) / Raw(data))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"version": 6}, Drop.IPV4_VERSION),
        ({"ihl": 4}, Drop.IPV4_HEADER_LENGTH),
        ({"len": 19}, Drop.IPV4_TOTAL_LENGTH),
        ({"len": 200}, Drop.IPV4_TOTAL_LENGTH),
        ({"chksum": 1}, Drop.IPV4_CHECKSUM),
        ({"flags": "MF"}, Drop.IPV4_FRAGMENT),
        ({"frag": 3}, Drop.IPV4_FRAGMENT),
    ],
    ids=str,
)
def test_each_reason(code: Any, fields: dict[str, Any], reason: Drop) -> None:
    packet = memory(bytes(ip(**fields) / UDP(sport=4000, dport=7) / Raw(b"data")))
    assert code.ipv4.check(packet, ADDRESS, MASK) == reason


@given(flips=st.lists(st.integers(0, 8 * 60 - 1), min_size=1, max_size=3, unique=True))
@settings(deadline=None)
def test_up_to_three_flipped_bits_never_pass(fast: Any, flips: list[int]) -> None:
    """The sum finds every change of one bit; of two or three it can miss those in the same column."""
    packet = bytearray(bytes(ip() / UDP(sport=4000, dport=7) / Raw(b"x" * 32)))
    for flip in flips:
        packet[flip // 8] ^= 1 << flip % 8
    passes = fast.ipv4.check(memory(bytes(packet)), ADDRESS, MASK) == Drop.NONE
    passes = passes and packet[9] == 17 and fast.udp.check(memory(bytes(packet[20:])), PEER, ADDRESS) == Drop.NONE
    if len(flips) == 1:
        assert not passes
    elif passes:
        assert sum_by_arithmetic(bytes(packet[:20])) == 0


def test_who_can_be_answered(code: Any) -> None:
    def asks(text: str) -> bool:
        source = int.from_bytes(bytes(map(int, text.split("."))), "big")
        return bool(code.ipv4.can_be_answered(source, ADDRESS, MASK))

    assert all(asks(a) for a in ("10.0.0.1", "10.0.0.254", "1.1.1.1", "192.168.1.255", "223.255.255.255", "126.0.0.1"))
    never = "0.0.0.0 0.1.2.3 127.0.0.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 10.0.0.0 10.0.0.255 10.0.0.2"
    assert not any(asks(a) for a in never.split())


# Lengths of instructions

disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)


def lengths(data: bytes) -> int:
    """What capstone says; 0 if these bytes are no instruction."""
    return next((i.size for i in disassembler.disasm(data, 0, 1)), 0)


KNOWN = (
    "90 cc c3 f4 cd03 0f0b 670fb94002 0fb90500000000 0f20d8 0f22d8 f7f1 48f7f9 f6c101 f7c101000000 "
    "66f7c10100 48b80102030405060708 a10102030405060708 8b04250000e0ff 488b0425000000ff 8a00 c60001 "
    "66c7000100 48c7400801000000 e800000000 0f8400000000 7402 c20800 c8100001 c5f877 c4e27918c0 "
    "c4e37d19c001 62f17c48100425 f30f6f4540 660f3a0f0c2408 0f3800c1 f0480fb10e ff25000000ff "
    "64488b042500000000 9c 0f05 0f01f8 6aff 68ffffffff 666811 668100 6668ff00 6690 0fa2 0fc8 0fba2a05 "
)


def test_lengths_of_known_instructions(code: Any) -> None:
    for text in KNOWN.split():
        data = bytes.fromhex(text)
        whole = (data + bytes(15))[:15]
        expected = lengths(whole) if comparable(whole) else len(data)
        assert code.instructions.length(memory(whole)) == expected, text


@given(
    data=st.binary(min_size=15, max_size=15),
    start=st.sampled_from([b"", b"\x0f", b"\x66", b"\x48", b"\x0f\x38", b"\x0f\x3a"]),
)
@settings(deadline=None, max_examples=2000)
def test_lengths_of_any_instruction(fast: Any, data: bytes, start: bytes) -> None:
    data = (start + data)[:15]
    known = lengths(data)
    if known and comparable(data):
        assert fast.instructions.length(memory(data)) == known, data.hex()


@given(data=st.binary(max_size=16))
@settings(deadline=None, max_examples=1000)
def test_a_length_is_never_beyond_the_bytes(fast: Any, data: bytes) -> None:
    assert fast.instructions.length(memory(data)) <= min(len(data), 15)


def comparable(data: bytes) -> bool:
    """Left out is where processors differ (near branches and absolute addresses behind 66 and 67), what one maker alone
    has (8F, 0F78, 0FA6, 0FA7), and what capstone reads wrongly (0FB9 and 0FFF have an operand, C2 has 2 bytes always).
    """
    prefixes = bytes.fromhex("262e363e64656667f0f2f3") + bytes(range(0x40, 0x50))
    rest = data.lstrip(prefixes)
    seen = data[: len(data) - len(rest)]
    if len(rest) < 2 or rest[0] in (0x8F, 0xC2) or (rest[0] == 0x0F and rest[1] in (0x78, 0xA6, 0xA7, 0xB9, 0xFF)):
        return False
    branch = rest[0] in (0xE8, 0xE9, 0xC7) or (rest[0] == 0x0F and rest[1] & 0xF0 == 0x80)
    return not (0x66 in seen and branch) and not (0x67 in seen and rest[0] & 0xFC == 0xA0)


# The heap's books


def test_books_against_a_dictionary(code: Any) -> None:
    """Blocks never overlap, are aligned, come back whole, and nothing else can be given back."""
    chance = random.Random(3)
    books = blocks.Books()
    code.blocks.prepare(books)
    taken: dict[int, int] = {}
    steps = 1500 if hasattr(code.blocks, "output") else 60
    for _ in range(steps):
        if chance.random() < 0.6 or not taken:
            size = chance.choice([1, 31, 32, 33, 64, 100, 500, 2048, 2049, 4096, 5000, 40000])
            offset = code.blocks.take(books, size)
            assert offset != blocks.NOTHING
            got = code.blocks.size_of(books, offset)
            assert got >= size
            assert offset % min(got, 4096) == 0 or got > 4096
            assert all(offset + got <= o or o + s <= offset for o, s in taken.items())
            taken[offset] = got
        else:
            offset = chance.choice(list(taken))
            wrong = offset + chance.choice([1, 8, 16])
            assert not code.blocks.give_back(books, wrong)
            assert code.blocks.give_back(books, offset)
            assert not code.blocks.give_back(books, offset), "twice"
            del taken[offset]
    for offset in taken:
        assert code.blocks.give_back(books, offset)
    whole = code.blocks.take(books, blocks.PAGES * blocks.PAGE)
    assert whole == 0, "all of it is free again, in one piece"
    assert code.blocks.take(books, 1) == blocks.NOTHING
    assert code.blocks.give_back(books, whole)


def test_books_refuse_what_they_never_gave(fast: Any) -> None:
    books = blocks.Books()
    assert not fast.blocks.give_back(books, 0), "before anything was prepared"
    fast.blocks.prepare(books)
    for offset in (0, 32, 4096, blocks.PAGES * blocks.PAGE, 2**64 - 1):
        assert not fast.blocks.give_back(books, offset)
        assert fast.blocks.size_of(books, offset) == 0
    for size in (0, blocks.PAGES * blocks.PAGE + 1, 2**64 - 1):
        assert fast.blocks.take(books, size) == blocks.NOTHING


def test_books_use_every_piece_of_a_page(fast: Any) -> None:
    books = blocks.Books()
    fast.blocks.prepare(books)
    for size in (32, 64, 128, 256, 512, 1024, 2048):
        pieces = [fast.blocks.take(books, size) for _ in range(2 * 4096 // size)]
        assert len(set(pieces)) == len(pieces)
        assert len({p // 4096 for p in pieces}) == 2
        for piece in pieces:
            assert fast.blocks.give_back(books, piece)


def test_a_bound_port_is_taken() -> None:
    """Binding, as CPython runs it."""
    host = interface.new()
    bind, unbind = WAYS["python"](interface.bind, interface.unbind).bind, WAYS["python"](interface.unbind).unbind
    assert not bind(host, u16(0), interface.ignore)
    for port in range(1, interface.PORTS + 1):
        assert bind(host, u16(port), interface.ignore)
    assert not bind(host, u16(99), interface.ignore), "the table is full"
    unbind(host, u16(3))
    assert not bind(host, u16(4), interface.ignore), "taken"
    assert bind(host, u16(99), interface.ignore)
