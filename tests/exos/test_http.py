# SPDX-License-Identifier: MIT
"""Requests taken apart: what is understood, what is refused and why, at every point where bytes may end."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exos.ways import WAYS, memory

from exokernel.exos.net import http
from exokernel.exos.net.http import Method, Request, Status
from exokernel.metal import Span, u8, u32

GOOD = b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"


def parse(data: Span[u8]) -> tuple[u32, u8, bool, u32, u32, u32, u32]:
    """In the dialect: `http.parse`, and what it filled in."""
    request = Request()
    status = http.parse(data, request)
    target, end = request.target, request.target_end
    return status, request.method, request.keep_alive, target, end, request.body, request.length


def write(buffer: Span[u8], status: u32, kind: u8, length: u32, keep_alive: bool) -> u32:
    return u32(http.write_head(buffer, status, kind, length, keep_alive))


@cache
def compiled(way: str) -> Any:
    return WAYS[way](parse, write)


@pytest.fixture(params=list(WAYS))
def module(request: pytest.FixtureRequest) -> Any:
    return compiled(request.param)


def status(module: Any, data: bytes) -> int:
    return int(module.parse(memory(data))[0])


def fields(*lines: bytes, first: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: x\r\n") -> bytes:
    return first + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def test_a_request(module: Any) -> None:
    result, method, keep, target, end, body, length = module.parse(memory(GOOD + b"next"))
    assert (result, method, keep) == (Status.OK, Method.GET, True)
    assert GOOD[target:end] == b"/a?b" and body == length == len(GOOD)


@pytest.mark.parametrize(
    ("data", "expected"), [
        (fields(first=b"GET / HTTP/1.0", host=b""), Status.OK),
        (fields(first=b"GET http://x/a HTTP/1.1"), Status.OK),
        (fields(first=b"OPTIONS * HTTP/1.1"), Status.OK),
        (b"\r\n\r\n" + GOOD, Status.OK),
        (fields(b"X:", b"Y:\t a b \t", b"Z-9!#$%&'*+.^_`|~: \x80\xff"), Status.OK),
        (fields(b"Content-Length: 3") + b"abc", Status.OK),
        (fields(b"Content-Length: 0"), Status.OK),
        (fields(host=b""), Status.BAD_REQUEST),
        (fields(host=b"Host: x\r\nHost: x\r\n"), Status.BAD_REQUEST),
        (fields(host=b"Host : x\r\n"), Status.BAD_REQUEST),
        (fields(b" folded: x"), Status.BAD_REQUEST),
        (fields(b"X: a\rb"), Status.BAD_REQUEST),
        (fields(b"X: a\nb"), Status.BAD_REQUEST),
        (fields(b"X: a\0b"), Status.BAD_REQUEST),
        (fields(b"X"), Status.BAD_REQUEST),
        (fields(b": x"), Status.BAD_REQUEST),
        (fields(b"X\xe4: x"), Status.BAD_REQUEST),
        (GOOD.replace(b"\r\n", b"\n"), Status.BAD_REQUEST),
        (fields(first=b"GET  / HTTP/1.1"), Status.BAD_REQUEST),
        (fields(first=b"GET / HTTP/1.1 "), Status.BAD_REQUEST),
        (fields(first=b"GET /"), Status.BAD_REQUEST),
        (fields(first=b" GET / HTTP/1.1"), Status.BAD_REQUEST),
        (fields(first=b"G{T / HTTP/1.1"), Status.BAD_REQUEST),
        (fields(first=b"GET a HTTP/1.1"), Status.BAD_REQUEST),
        (fields(first=b"GET http://x HTTP/1.1"), Status.BAD_REQUEST),
        (fields(first=b"GET /\x7f HTTP/1.1"), Status.BAD_REQUEST),
        (fields(first=b"GET / http/1.1"), Status.BAD_REQUEST),
        (fields(first=b"GET / HTTP/11"), Status.BAD_REQUEST),
        (fields(first=b"GET / HTTP/1.x"), Status.BAD_REQUEST),
        (fields(first=b"GET / HTTP/2.0"), Status.VERSION_NOT_SUPPORTED),
        (fields(first=b"GET / HTTP/0.9"), Status.VERSION_NOT_SUPPORTED),
        (fields(b"Content-Length: 3", b"Content-Length: 3") + b"abc", Status.BAD_REQUEST),
        (fields(b"Content-Length: 3, 3") + b"abc", Status.BAD_REQUEST),
        (fields(b"Content-Length: -1"), Status.BAD_REQUEST),
        (fields(b"Content-Length: +1"), Status.BAD_REQUEST),
        (fields(b"Content-Length:"), Status.BAD_REQUEST),
        (fields(b"Content-Length: 99999999999999999999999999"), Status.CONTENT_TOO_LARGE),
        (fields(b"Content-Length: 2049"), Status.CONTENT_TOO_LARGE),
        (fields(b"Transfer-Encoding: chunked") + b"0\r\n\r\n", Status.NOT_IMPLEMENTED),
        (fields(b"Transfer-Encoding: chunked", b"Content-Length: 3") + b"abc", Status.BAD_REQUEST),
        (fields(b"Expect: 100-continue", b"Content-Length: 3"), Status.EXPECTATION_FAILED),
        (fields(b"X: " + b"a" * 5000), Status.HEADER_FIELDS_TOO_LARGE),
        (fields(first=b"GET /" + b"a" * 5000 + b" HTTP/1.1"), Status.HEADER_FIELDS_TOO_LARGE),
        (fields(*[b"a: b"] * 1000), Status.HEADER_FIELDS_TOO_LARGE),
        (b"A" * 5000, Status.HEADER_FIELDS_TOO_LARGE),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Status.BAD_REQUEST),
        (b"", http.INCOMPLETE), (b"\r\n", http.INCOMPLETE), (b"\r", http.INCOMPLETE),
    ],
)  # fmt: skip
def test_status(module: Any, data: bytes, expected: int) -> None:
    assert status(module, data) == expected


@pytest.mark.parametrize(
    ("first", "line", "kept"), [
        (b"GET / HTTP/1.1", b"X: y", True), (b"GET / HTTP/1.1", b"Connection: close", False),
        (b"GET / HTTP/1.1", b"CONNECTION: a, Close ,b", False), (b"GET / HTTP/1.1", b"Connection: closed", True),
        (b"GET / HTTP/1.0", b"X: y", False), (b"GET / HTTP/1.0", b"Connection: Keep-Alive", True),
    ],
)  # fmt: skip
def test_whether_the_connection_is_kept(module: Any, first: bytes, line: bytes, kept: bool) -> None:
    assert module.parse(memory(fields(line, first=first)))[2] == kept


def test_cut_anywhere_it_is_incomplete_and_never_refused(module: Any) -> None:
    request = b"\r\n" + fields(b"Accept: */*", b"Content-Length: 4", b"Connection: close") + b"body"
    for end in range(len(request)):
        assert status(module, request[:end]) == http.INCOMPLETE, request[:end]
    assert status(module, request) == Status.OK


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.integers(0, len(GOOD)))
def test_any_bytes(data: bytes, start: int, end: int) -> None:
    """Both ways agree, and what is accepted lies within what arrived."""
    text = GOOD[:start] + data + GOOD[end:]
    results = [tuple(map(int, compiled(way).parse(memory(text)))) for way in WAYS]
    if results[0][0] == Status.OK:
        assert results[0] == results[1]
        assert results[0][6] <= len(text)
    assert results[0][0] == results[1][0]
    assert results[0][0] == http.INCOMPLETE or results[0][0] in set(Status)


def test_the_head_of_an_answer(module: Any) -> None:
    for code in Status:
        buffer = memory(bytes(http.LARGEST_ANSWER_HEAD))
        length = module.write(buffer, code, http.Kind.HTML, 4_000_000_000, False)
        lines = bytes(buffer)[:length].decode().split("\r\n")
        assert lines[0].startswith(f"HTTP/1.1 {code} ") and lines[-2:] == ["", ""]
        assert "Content-Length: 4000000000" in lines and "Connection: close" in lines
        assert ("Allow: GET, HEAD" in lines) == (code == Status.METHOD_NOT_ALLOWED)
