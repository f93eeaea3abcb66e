# SPDX-License-Identifier: MIT
"""examples/kv.py in a booted machine against redis-cli and redis-benchmark, where they are installed, and a client of
our own that compares every answer with a dictionary.
"""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from tests.system.guests import EXAMPLES, free_tcp_port, running

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

Answer = int | str | bytes | None | list["Answer"]


class Client:
    """A connection: commands out, answers in."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.file = self.socket.makefile("rb")

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    @staticmethod
    def text(*words: str | bytes | int) -> bytes:
        parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)

    def answer(self) -> Answer:
        line = self.file.readline()
        assert line.endswith(b"\r\n"), line
        kind, rest = line[:1], line[1:-2]
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        return line[:-2].decode()

    def do(self, *words: str | bytes | int) -> Answer:
        self.socket.sendall(self.text(*words))
        return self.answer()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    number = free_tcp_port()
    with running([EXAMPLES / "kv.py"], forward=[f"tcp:{number}:6379"]) as guest:
        guest.wait_for(b"Keys and values")
        yield number


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    found = Client(port)
    assert found.do("FLUSHALL") == "+OK"
    yield found
    found.close()


def test_every_command(client: Client) -> None:
    assert client.do("PING") == "+PONG" and client.do("ping", "x") == b"x" and client.do("ECHO", "hello") == b"hello"
    assert client.do("GET", "a") is None
    assert client.do("SET", "a", b"\0\r\n\xff") == "+OK" and client.do("GET", "a") == b"\0\r\n\xff"
    assert client.do("SET", "a", "") == "+OK" and client.do("GET", "a") == b""
    assert [client.do("INCR", "n") for _ in range(3)] == [1, 2, 3] and client.do("GET", "n") == b"3"
    assert client.do("SET", "n", -5) == "+OK" and client.do("INCR", "n") == -4
    assert str(client.do("INCR", "a")).startswith("-ERR")
    assert client.do("MGET", "a", "none", "n") == [b"", None, b"-4"]
    assert client.do("MSET", "m", 1, "a", "", "m", 2) == "+OK" and client.do("MGET", "m", "a") == [b"2", b""]
    assert str(client.do("MSET", "m", 1, "x" * 65, 2)).startswith("-ERR") and client.do("DEL", "m") == 1
    assert client.do("CONFIG", "GET", "save") == [b"save", b""]
    assert client.do("EXISTS", "a", "n", "none") == 2 and client.do("DBSIZE") == 2
    assert client.do("DEL", "a", "none") == 1 and client.do("GET", "a") is None
    assert b"keys=1" in bytes(client.do("INFO") or b"")  # type: ignore[arg-type]
    for words in (
        ("NONSENSE",),
        ("GET",),
        ("SET", "a"),
        ("SET", "k" * 65, "x"),
        ("SET", "a", "x" * 513),
        ("SET", "a", "b", "c", "d"),
    ):
        assert str(client.do(*words)).startswith("-ERR"), words
    client.socket.sendall(b"SET line words\r\nGET  line\r\n\r\nPING\r\n")
    assert [client.answer() for _ in range(3)] == ["+OK", b"words", "+PONG"]
    assert client.do("QUIT") == "+OK" and client.file.read() == b""


def test_keys_expire(client: Client) -> None:
    assert client.do("SET", "a", 1, "PX", 300) == "+OK" and client.do("GET", "a") == b"1" and client.do("TTL", "a") == 1
    assert client.do("SET", "b", 1) == "+OK" and client.do("TTL", "b") == -1 and client.do("TTL", "none") == -2
    assert client.do("EXPIRE", "b", 100) == 1 and client.do("TTL", "b") == 100 and client.do("EXPIRE", "none", 1) == 0
    assert client.do("INCR", "b") == 2 and client.do("TTL", "b") == 100
    time.sleep(0.5)
    assert client.do("GET", "a") is None and client.do("EXPIRE", "b", 0) == 1 and client.do("DBSIZE") == 0


def test_ten_keys_at_once_are_no_protocol_error(client: Client) -> None:
    """What redis-benchmark sends for MSET has 21 words, and 16 were understood."""
    words = [f"{kind}{i}" for i in range(10) for kind in ("key", "value")]
    assert client.do("MSET", *words) == "+OK"
    assert client.do("MGET", *words[::2]) == [word.encode() for word in words[1::2]]


def test_a_pipeline_against_a_dictionary(client: Client) -> None:
    """Ten thousand commands, a hundred under way: every answer is what a dictionary gives."""
    chance, known = random.Random(5), dict[bytes, bytes]()
    for _ in range(100):
        text, expected = b"", list[Answer]()
        for _ in range(100):
            key = b"key:%d" % chance.randrange(300)
            kind = chance.randrange(4)
            if kind == 0:
                value = chance.randbytes(chance.choice([0, 1, 10, 512]))
                text += client.text("SET", key, value)
                known[key] = value
                expected.append("+OK")
            elif kind == 1:
                text += client.text("DEL", key)
                expected.append(int(known.pop(key, None) is not None))
            else:
                text += client.text("GET", key)
                expected.append(known.get(key))
        client.socket.sendall(text)
        assert [client.answer() for _ in expected] == expected
    assert client.do("DBSIZE") == len(known)


def test_the_table_is_bounded(client: Client) -> None:
    answers = []
    for start in range(0, 8192, 256):
        client.socket.sendall(b"".join(client.text("SET", f"key {i}", i) for i in range(start, start + 256)))
        answers += [client.answer() for _ in range(256)]
    assert answers.count("+OK") == 6144 and str(answers[-1]).startswith("-OOM")
    assert client.do("GET", "key 0") == b"0" and client.do("GET", "key 8191") is None
    for start in range(0, 6144, 256):
        client.socket.sendall(b"".join(client.text("DEL", f"key {i}") for i in range(start, start + 256)))
        assert [client.answer() for _ in range(256)] == [1] * 256
    for i in range(3000):  # over the traces of those that are gone
        client.socket.sendall(client.text("SET", f"other {i}", i) + client.text("GET", f"other {i}"))
        assert (client.answer(), client.answer()) == ("+OK", b"%d" % i)


def test_nonsense_ends_only_its_connection(port: int, client: Client) -> None:
    for text in (
        b"*1\r\n$-1\r\n",
        b"*99\r\n",
        b"*x\r\n",
        b"*1\r\n:5\r\n",
        b"*1\r\n$3\r\nabcde",
        b"*1\r\n$9999\r\n",
        b"\0\n",
        b"a" * 2000,
    ):
        other = Client(port)
        other.socket.sendall(text)
        assert other.file.read() == b"-ERR Protocol error\r\n", text
        other.close()
    assert client.do("PING") == "+PONG"


UNKNOWN = "ERR unknown command, or a wrong number of arguments"


def test_redis_cli(port: int) -> None:
    if (tool := shutil.which("redis-cli")) is None:
        pytest.skip("needs redis-cli (package redis-tools)")
    for line, expected in (
        ("flushall", "OK"), ("set a 1", "OK"), ("incr a", "2"), ("get a", "2"), ("get none", ""), ("ping", "PONG"),
        ("ping hello", "hello"), ("echo hello", "hello"), ("mset b 3 c 4", "OK"), ("mget a none c", "2\n\n4"),
        ("expire a 100", "1"), ("expire none 1", "0"), ("ttl b", "-1"), ("exists a b none", "2"), ("dbsize", "3"),
        ("del a b none", "2"), ("get a", ""), ("set d e ex 100", "OK"), ("ttl d", "100"), ("config get save", "save\n"),
        ("get", UNKNOWN), ("mset a", UNKNOWN),
        ("mset a 1 b", "ERR wrong number of arguments for 'mset' command"), ("hgetall a", UNKNOWN),
        ("incr d", "ERR value is not an integer or out of range"), ("set a b xx", "ERR syntax error"),
        ("set a b ex 0", "ERR syntax error"), ("set a " + 600 * "x", "ERR keys have at most 64 bytes, values 512"),
    ):  # fmt: skip
        run = subprocess.run([tool, "-p", str(port), *line.split()], capture_output=True, timeout=20, check=True)
        assert run.stdout.decode().removesuffix("\n").removesuffix("\n" if "ERR" in expected else "") == expected, line
    info = subprocess.run([tool, "-p", str(port), "info"], capture_output=True, timeout=20, check=True).stdout.decode()
    assert "db0:keys=2" in info and "total_commands_processed:" in info


def test_redis_benchmark(port: int) -> None:
    if (tool := shutil.which("redis-benchmark")) is None:
        pytest.skip("needs redis-benchmark (package redis-tools)")
    command = [tool, "-p", str(port), "-t", "ping,set,get,incr", "-n", "2000", "-c", "10", "-P", "16", "--csv"]
    run = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert b'"GET"' in run.stdout and b"rror" not in run.stderr
