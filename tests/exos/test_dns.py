# SPDX-License-Identifier: MIT
"""DNS and DHCP messages against scapy's, and against any bytes."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exos.ways import WAYS, memory

from exokernel.exos.net import dhcp, dns
from exokernel.metal import Span, u8, u16, u32

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers.dns import DNS, DNSQR, DNSRR


def take(message: Span[u8]) -> tuple[bool, u8, u32]:
    """In the dialect: what a client in SELECTING makes of a message."""
    lease = dhcp.Lease()
    dhcp.begin(lease, 0x0200_0000_0001, 7)
    changed = dhcp.take(lease, message)
    return changed, lease.state, lease.address


def write_name(message: Span[u8], name: Span[u8], identification: u32) -> u32:
    return u32(dns.write(message, name, u16(identification)))


@cache
def compiled(way: str) -> Any:
    return WAYS[way](dns.read, write_name, take)


@pytest.fixture(params=list(WAYS))
def module(request: pytest.FixtureRequest) -> Any:
    return compiled(request.param)


def question(module: Any, name: bytes) -> bytes:
    buffer = memory(bytes(dns.LARGEST))
    length = module.write_name(buffer, memory(name), 0x1234)
    return bytes(buffer)[:length]


def test_a_question(module: Any) -> None:
    assert question(module, b"www.example.org") == bytes(DNS(id=0x1234, rd=1, qd=DNSQR(qname="www.example.org")))
    for bad in (b".", b"a..b", b"a" * 64, b"a." * 127 + b"a"):
        assert question(module, bad) == b""
    assert len(question(module, b"a." * 126 + b"a")) == 12 + 255 + 4


def answer(module: Any, *records: Any, **fields: Any) -> int:
    asked = question(module, b"www.example.org")
    name = fields.pop("qname", "www.example.org")
    message = DNS(**{"id": 0x1234, "qr": 1, "qd": DNSQR(qname=name), "an": list(records)} | fields)
    return int(module.read(memory(bytes(message)), memory(asked)))


def record(name: str, kind: str, data: str) -> Any:
    return DNSRR(rrname=name, type=kind, rdata=data)


def test_answers(module: Any) -> None:
    right = record("www.example.org", "A", "192.0.2.80")
    assert answer(module, right) == 0xC0000250
    assert answer(module, record("WWW.Example.ORG", "A", "192.0.2.80")) == 0xC0000250
    assert (
        answer(module, record("www.example.org", "CNAME", "a.example"), record("a.example", "A", "192.0.2.81"))
        == 0xC0000251
    )
    assert (
        answer(module, record("a.example", "A", "192.0.2.81"), record("www.example.org", "CNAME", "a.example"))
        == 0xC0000251
    )
    assert answer(module, record("a.example", "A", "192.0.2.81")) == dns.NO_SUCH_NAME
    assert answer(module, record("www.example.org", "CNAME", "www.example.org")) == dns.FAILED, "a circle"
    assert answer(module, rcode=3) == dns.NO_SUCH_NAME
    assert answer(module, rcode=2) == dns.FAILED
    for fields in ({"id": 1}, {"qr": 0}, {"opcode": 2}, {"qname": "www.example.com"}):
        assert answer(module, right, **fields) == dns.NOT_OURS, fields


def test_a_name_that_points_at_itself(module: Any) -> None:
    asked = question(module, b"www.example.org")
    message = asked[:2] + b"\x80\0\0\1\0\1\0\0\0\0" + asked[12:]
    loop = message + (0xC000 | len(message)).to_bytes(2, "big") + b"\0\1\0\1\0\0\0\1\0\4\1\2\3\4"
    assert module.read(memory(loop), memory(asked)) == dns.NO_SUCH_NAME


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 45))
def test_any_bytes(data: bytes, kept: int) -> None:
    module = compiled("native")
    asked = question(module, b"www.example.org")
    good = asked[:2] + b"\x81\x80\0\1\0\2\0\0\0\0" + asked[12:] + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3\4"
    text = good[:kept] + data
    assert module.read(memory(text), memory(asked)) == compiled("python").read(memory(text), memory(asked))
    module.take(memory(text))


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=100))
def test_any_lease(options: bytes) -> None:
    """Whatever a server's options are, the client keeps its state or moves on with an address."""
    head = (
        b"\2\1\6\0"
        + (7).to_bytes(4, "big")
        + bytes(8)
        + b"\x0a\0\0\x63"
        + bytes(8)
        + bytes.fromhex("020000000001")
        + bytes(202)
    )
    message = head + bytes.fromhex("63825363") + options
    changed, state, address = compiled("native").take(memory(message))
    assert (bool(changed), state, address) in ((False, 0, 0), (True, 1, 0x0A000063))
    assert tuple(map(int, compiled("python").take(memory(message)))) == (changed, state, address)
