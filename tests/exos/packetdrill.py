# SPDX-License-Identifier: MIT
"""Packet scripts in packetdrill's notation (Cardwell et al., USENIX ATC 2013), interpreted against the library's TCP
under a virtual clock. It knows of TCP only what is on the wire, and shares nothing with the code that it judges.

A file holds several scripts, each headed by `=== what it shows` and perhaps options (`--buffer=4096 --pieces=4
--rows=8 --eager`: what arrives is consumed at once). In a script:

    +0.1 < P. 1:101(100) ack 1 win 1000 <mss 1460,nop,wscale 7>    the peer sends
    +0   > .  1:1(0) ack 101 win 65435                             the library must have sent, at this time
    *    > R  1:1(0)                                               the same at any time
    +0   write(4, ..., 1000) = 1000                                a call of the application's, and its result
    +0   %{ assert state == ESTABLISHED }%                         Python: state, events, congestion, free, buffers
    $opened                                                        a handshake; see PIECES

Sequence numbers count from each side's SYN; on the wire the peer's begin just below 2^32, so that they wrap. `win` and
options in an expectation are compared when they are written; that nothing else is sent always is. Timestamps are `TS 100`
from the peer, whose clock it is, and `TS now 100` from the library: its clock must have gone on with ours, and the peer's
(`TS any 100`: only the peer's is compared). The peer echoes the library's last clock that the script has seen; with
`TS 100 ago 0.3` that of 0.3 s before now, with `TS 100 echo 5` just 5. `flood(3)` is SYNs from so many other ports,
whose answers nobody looks at, `calm(3)` the resets that end them.
"""

from __future__ import annotations

import re
import struct
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.exos.ways import memory
from tests.packets import checksum

from exokernel.exos.net.tcp import Event, State

HERE, PEER = bytes([192, 168, 0, 1]), bytes([192, 0, 2, 1])
HERE_PORT, PEER_PORT = 8080, 9000
PEER_START = 0xFFFF_FFB0  # where the peer's numbers begin on the wire
TOLERANCE = 1000  # microseconds
FLOOD_PORT = 10_000  # from here on
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, ".": 16, "U": 32}
START = 10_000_000  # on the clock

PIECES = {
    "opened": """
        +0 listen(3, 1) = 0
        +0 < S 0:0(0) win 65535 <mss 1000,sackOK,nop,wscale 0>
        +0 > S. 0:0(0) ack 1
        +0.1 < . 1:1(0) ack 1 win 65535
        +0 accept(3, ..., ...) = 4""",
    "plain": """
        +0 listen(3, 1) = 0
        +0 < S 0:0(0) win 65535 <mss 1000>
        +0 > S. 0:0(0) ack 1 <mss 1460>
        +0.1 < . 1:1(0) ack 1 win 65535
        +0 accept(3, ..., ...) = 4""",
    "connected": """
        +0 connect(3, ..., ...) = 0
        +0 > S 0:0(0)
        +0.1 < S. 0:0(0) ack 1 win 65535 <mss 1000,sackOK,nop,wscale 0>
        +0 > . 1:1(0) ack 1""",
}


class Wrong(AssertionError):
    """The library did something else."""


@dataclass
class Script:
    name: str
    options: dict[str, int] = field(default_factory=dict)
    lines: list[tuple[int, str]] = field(default_factory=list)  # line number, text


def read(path: Path) -> list[Script]:
    """The scripts of a file."""
    scripts: list[Script] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.split("//")[0].strip()
        if text.startswith("==="):
            scripts.append(Script(text[3:].strip()))
        elif text.startswith("--"):
            for word in text.split():
                name, _, value = word[2:].partition("=")
                scripts[-1].options[name] = int(value or 1)
        elif text.startswith("$"):
            scripts[-1].lines += [(number, part.strip()) for part in PIECES[text[1:]].strip().splitlines()]
        elif text:
            scripts[-1].lines.append((number, text))
    return scripts


PACKET = re.compile(
    r"(?P<direction>[<>])\s+(?P<flags>[FSRPU.]+)\s+(?P<start>\d+):(?P<end>\d+)\((?P<length>\d+)\)"
    r"(?:\s+ack\s+(?P<ack>\d+))?(?:\s+win\s+(?P<win>\d+))?(?:\s+<(?P<options>[^>]*)>)?$"
)
CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\)\s*(?:=\s*(?P<result>-?\d+))?$")


def pattern(start: int, length: int) -> bytes:
    """What a stream has at these places."""
    return bytes((i * 7 + (i >> 8)) & 0xFF for i in range(start, start + length))


class Run:
    """One script at work."""

    def __init__(self, module: Any, script: Script) -> None:
        self.module, self.script = module, script
        self.now = START
        self.sent: deque[tuple[int, bytes]] = deque()
        self.our_start: int | None = None
        self.stamp: int | None = None  # our timestamp when the clock was 0
        self.last_stamp = 0  # ours that was seen last
        self.sent_at = 0  # when the segment left that is shown
        self.written = self.given = 0
        self.events: list[str] = []
        options = {"buffer": 65535, "pieces": 8, "rows": 8, "eager": 0} | script.options
        module.reset(options["buffer"], options["pieces"], options["rows"], bool(options["eager"]))

    def run(self) -> None:
        for number, line in self.script.lines:
            try:
                self.step(line)
            except Wrong as wrong:
                raise Wrong(f"{self.script.name}: line {number}: {line}\n    {wrong}") from None
        self.expect_silence()

    def step(self, line: str) -> None:
        time, _, rest = line.partition(" ")
        rest = rest.strip()
        if time == "*":
            self.until_sent()
        else:
            wanted = self.now + round(float(time[1:]) * 1e6) if time[0] == "+" else START + round(float(time) * 1e6)
            if not rest.startswith(">"):
                self.advance(wanted)
                self.collect()
                if not rest.startswith("forget"):
                    self.expect_silence()
            else:
                self.advance(wanted)
        if rest.startswith("%{"):
            self.check(rest[2:-2].strip())
        elif packet := PACKET.match(rest):
            if packet["direction"] == "<":
                self.arrive(packet)
            else:
                self.expect(packet, any_time=time == "*")
        elif call := CALL.match(rest):
            self.call(call)
        else:
            raise Wrong("cannot be read")

    # Time

    def collect(self) -> None:
        buffer = memory(bytes(1600))
        while (length := self.module.sent(buffer)) != 0:
            if int.from_bytes(bytes(buffer)[2:4], "big") < FLOOD_PORT:
                self.sent.append((self.now, bytes(buffer)[:length]))
        while (event := self.module.event()) != 255:
            self.events.append(Event(event).name)

    def advance(self, target: int) -> None:
        self.collect()
        while (deadline := self.module.deadline()) <= target:
            self.tick(deadline)
        self.now = target

    def tick(self, deadline: int) -> None:
        """What is due is done, and then something later is due."""
        self.now = max(self.now, deadline)
        if self.module.tick(self.now) <= self.now:
            raise Wrong("its clock stands still")
        self.collect()

    def until_sent(self) -> None:
        self.collect()
        while not self.sent:
            deadline = self.module.deadline()
            if deadline > self.now + 20_000 * 10**6:
                raise Wrong("nothing will ever be sent")
            self.tick(deadline)

    # Packets

    def arrive(self, packet: re.Match[str]) -> None:
        flags = sum(FLAGS[f] for f in packet["flags"])
        start, end, length = (int(packet[name]) for name in ("start", "end", "length"))
        if end - start != length:
            raise Wrong("the numbers of this packet do not fit")
        data = pattern(start - 1, length) if length else b""
        ack = (int(packet["ack"]) + (self.our_start or 0)) & 0xFFFF_FFFF if packet["ack"] else 0
        options = self.options(packet["options"] or "")
        header = struct.pack(
            ">IIBBHI",
            (start + PEER_START) & 0xFFFF_FFFF,
            ack,
            (20 + len(options)) << 2,
            flags,
            int(packet["win"] or 0),
            0,
        )
        self.arrive_bytes(PEER_PORT, header + options + data)

    def arrive_bytes(self, port: int, rest: bytes) -> None:
        """A segment from that port of the peer's, without a checksum so far."""
        segment = struct.pack(">HH", port, HERE_PORT) + rest
        value = checksum(PEER + HERE + struct.pack(">BBH", 0, 6, len(segment)) + segment)
        self.module.arrive(memory(segment[:16] + struct.pack(">H", value) + segment[18:]), self.now)
        self.collect()

    def options(self, text: str) -> bytes:
        result = b""
        for word in filter(None, (w.strip() for w in text.split(","))):
            name, *values = word.split()
            if name == "mss":
                result += struct.pack(">BBH", 2, 4, int(values[0]))
            elif name == "wscale":
                result += struct.pack(">BBB", 3, 3, int(values[0]))
            elif name == "sackOK":
                result += b"\4\2"
            elif name == "nop":
                result += b"\1"
            elif name == "eol":
                result += b"\0"
            elif name == "hex":
                result += bytes.fromhex(values[0])
            elif name == "TS":
                result += struct.pack(">BBII", 8, 10, int(values[0]), self.echo(values[1:]))
            elif name == "sack":
                edges = [int(edge) for value in values for edge in value.split(":")]
                wire = [(edge + (self.our_start or 0)) & 0xFFFF_FFFF for edge in edges]
                result += struct.pack(f">BB{len(wire)}I", 5, 2 + 4 * len(wire), *wire)
            else:
                raise Wrong(f"unknown option {name}")
        return result + b"\1" * (-len(result) % 4)

    def echo(self, words: list[str]) -> int:
        """The clock of ours that the peer sends back."""
        if not words:
            return self.last_stamp
        if words[0] == "echo":
            return int(words[1])
        return (self.stamp or 0) + ((self.now - round(float(words[1]) * 1e6)) >> 10) & 0xFFFF_FFFF

    def show_options(self, data: bytes) -> str:
        words, i = [], 0
        while i < len(data):
            kind = data[i]
            if kind in (0, 1):
                i += 1
                continue
            body = data[i + 2 : i + data[i + 1]]
            if kind == 2:
                words.append(f"mss {int.from_bytes(body, 'big')}")
            elif kind == 3:
                words.append(f"wscale {body[0]}")
            elif kind == 4:
                words.append("sackOK")
            elif kind == 8:
                stamp = int.from_bytes(body[:4], "big")
                if self.stamp is not None and (stamp - self.last_stamp) & 0x8000_0000:
                    raise Wrong("its clock went back")
                self.last_stamp = stamp
                words.append(f"TS {self.clock(self.last_stamp)} {int.from_bytes(body[4:], 'big')}")
            elif kind == 5:
                edges = [(e - PEER_START) & 0xFFFF_FFFF for e in struct.unpack(f">{len(body) // 4}I", body)]
                words.append("sack " + " ".join(f"{a}:{b}" for a, b in zip(edges[::2], edges[1::2], strict=True)))
            i += data[i + 1]
        return ",".join(words)

    def clock(self, value: int) -> str:
        """`now`, when our timestamp has gone on by as many ticks of 1.024 ms as the clock, and else by how many."""
        if self.stamp is None:
            self.stamp = value - (self.sent_at >> 10)
        ticks = (value - self.stamp) & 0xFFFF_FFFF
        return "now" if ticks == self.sent_at >> 10 else str(ticks - (self.sent_at >> 10))

    def show(self, segment: bytes) -> dict[str, Any]:
        """A segment of the library's as a script would write it."""
        if checksum(HERE + PEER + struct.pack(">BBH", 0, 6, len(segment)) + segment) != 0:
            raise Wrong("its checksum is wrong")
        source, destination, sequence, ack, offset, bits, window = struct.unpack(">HHIIBBH", segment[:16])
        if (source, destination) != (HERE_PORT, PEER_PORT):
            raise Wrong(f"ports {source} and {destination}")
        if bits & 2 and self.our_start is None:
            self.our_start = sequence
        data = segment[offset >> 4 << 2 :]
        start = (sequence - (self.our_start or 0)) & 0xFFFF_FFFF
        if data and data != pattern(start - 1, len(data)):
            raise Wrong(f"wrong bytes at {start}")
        flags = "".join(f for f in "FSRPU." if bits & FLAGS[f])
        return {
            "flags": flags, "start": start, "length": len(data),
            "ack": (ack - PEER_START) & 0xFFFF_FFFF if bits & 16 else None, "win": window,
            "options": self.show_options(segment[20 : offset >> 4 << 2]),
        }  # fmt: skip

    def expect(self, packet: re.Match[str], any_time: bool) -> None:
        if not self.sent:
            raise Wrong(f"nothing was sent (the clock is at {(self.now - START) / 1e6})")
        time, segment = self.sent.popleft()
        self.sent_at = time
        shown = self.show(segment)
        text = self.text(shown)
        wanted = {
            "flags": "".join(sorted(packet["flags"], key="FSRPU.".index)), "start": int(packet["start"]),
            "length": int(packet["length"]), "ack": int(packet["ack"]) if packet["ack"] else None,
        }  # fmt: skip
        if packet["win"]:
            wanted["win"] = int(packet["win"])
        if packet["options"] is not None:
            words = (w.strip() for w in packet["options"].split(","))
            wanted["options"] = ",".join(w for w in words if w and w != "nop")
            if "TS any" in wanted["options"]:
                shown["options"] = re.sub(r"TS \S+", "TS any", shown["options"])
        for name, value in wanted.items():
            if shown[name] != value:
                raise Wrong(f"sent was {text}")
        if not any_time and abs(time - self.now) > TOLERANCE:
            raise Wrong(f"it was sent {(self.now - time) / 1e6} s earlier: {text}")

    def text(self, shown: dict[str, Any]) -> str:
        end = shown["start"] + shown["length"]
        ack = f" ack {shown['ack']}" if shown["ack"] is not None else ""
        return (
            f"{shown['flags']} {shown['start']}:{end}({shown['length']}){ack} win {shown['win']} <{shown['options']}>"
        )

    def expect_silence(self) -> None:
        if self.sent:
            raise Wrong("not expected: " + "; ".join(self.text(self.show(segment)) for _, segment in self.sent))

    # The application

    def call(self, call: re.Match[str]) -> None:
        name, arguments = call["name"], [a.strip() for a in call["arguments"].split(",")]
        wanted = int(call["result"] or 0)
        result = 0
        if name == "listen":
            self.module.listen()
        elif name == "connect":
            self.module.connect(self.now)
        elif name == "accept":
            self.collect()
            if "OPENED" not in self.events:
                raise Wrong("no connection has been opened")
            result = wanted
        elif name == "write":
            result = self.module.write(memory(pattern(self.written, int(arguments[2]))), self.now)
            self.written += result
        elif name == "read":
            buffer = memory(bytes(int(arguments[2])))
            result = self.module.read(buffer, self.now)
            if bytes(buffer)[:result] != pattern(self.given, result):
                raise Wrong("wrong bytes were read")
            self.given += result
        elif name == "close":
            self.module.close(self.now)
        elif name == "shutdown":
            self.module.finish(self.now)
        elif name == "abort":
            self.module.abort(self.now)
        elif name == "forget":  # what was sent is not looked at
            self.collect()
            self.sent.clear()
        elif name == "refuse":  # the device has no room for so many segments
            self.module.option(3, int(arguments[0]), self.now)
        elif name in ("flood", "calm"):
            sequence, flag = (0, "S") if name == "flood" else (1, "R")
            for port in range(FLOOD_PORT, FLOOD_PORT + int(arguments[0])):
                self.arrive_bytes(port, struct.pack(">IIBBHI", sequence, 0, 0x50, FLAGS[flag], 1000, 0))
        elif name == "setsockopt":
            which = ["TCP_NODELAY", "TCP_KEEPIDLE", "TCP_USER_TIMEOUT"].index(arguments[2])
            self.module.option(which, int(arguments[3]), self.now)
        else:
            raise Wrong("no such call")
        self.collect()
        if result != wanted:
            raise Wrong(f"the result is {result}")

    def check(self, code: str) -> None:
        free, buffers, half_open, cookies = self.module.books()
        state = self.module.state(PEER_PORT)
        names: dict[str, Any] = {s.name: s for s in State} | {
            "state": None if state == 255 else State(state), "events": self.events, "free": free, "buffers": buffers,
            "half_open": half_open, "cookies": cookies, "NONE": None,
        }  # fmt: skip
        if "congestion" in code:
            names["congestion"] = self.module.window_of_congestion()
        try:
            exec(code, names)
        except AssertionError as error:
            kept = {k: v for k, v in names.items() if k in code}
            raise Wrong(f"{error} {kept}") from None
