# SPDX-License-Identifier: MIT
"""A million hostile frames against everything that the network of the library has, and nothing breaks or is left behind.

server.py runs beside witness.py, which has nothing to do with the network. The frames come over a raw link, nobody
between: SYNs from everywhere, connections that open and then take nothing or a byte at a time, fragments that overlap,
random bytes on every layer, frames cut short, wrong checksums, blind resets, SYNs and data (RFC 5961) against a
connection that is in use, options of garbage. `frames` counts them by kind, `received` what the device has seen, `lost`
what found the receive ring full (that a flood is lost is no fault), `connections` those that were opened, and SYNs
answered without keeping anything. Throughout, an honest client asks for a page on a connection of its own, and on a new
one (`answers`), and an echo carries its bytes unchanged; the witness goes on and finds its memory as it was (`witness`).
At the end everything is free that was free before: `leaked` counts frames of memory, blocks of the heap, rows and buffers
of TCP. Anything else is no figure but an error. In a run of all exhibits it is a tenth.
"""

import random
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from exokernel.host.build import build
from exokernel.host.exhibit import Context, Figure
from exokernel.host.machine import Machine, measured
from exokernel.host.wire import Wire, wire

FOLDER = Path(__file__).parent
FRAMES = 1_000_000
ROUND = 1000  # frames between two looks at the honest client
TRIES = 5  # of a client that comes anew
TIMEOUT = 900.0
GUEST_STATION, STATION = bytes.fromhex("525400123456"), bytes.fromhex("0200000000aa")
GUEST, PEER = bytes([10, 0, 0, 2]), bytes([10, 0, 0, 1])
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
HTTP, ECHO, TELL = 80, 7, 8
LEAKS = ("frames", "heap blocks", "connections", "buffers")


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    frames, share = context.campaign(FRAMES)
    done = attack(frames, seed=1)
    for kind, count in done.sent.items():
        yield context.figure("frames", "count", [count], variant=kind)
    yield context.figure("frames", "count", [sum(done.sent.values())], variant=share)
    yield context.figure("received", "count", [done.received])
    yield context.figure("lost", "count", [done.lost])
    yield context.figure("connections", "count", [done.opened], variant="opened")
    yield context.figure("connections", "count", [done.cookies], variant="SYN answered with a cookie")
    yield context.figure("answers", "count", [done.answers])
    yield context.figure("witness", "count", [done.witness])
    for name, count in done.leaked.items():
        yield context.figure("leaked", "count", [count], variant=name)


@dataclass
class Done:
    """What an attack has done."""

    sent: dict[str, int]
    received: int = 0
    lost: int = 0
    opened: int = 0
    cookies: int = 0
    answers: int = 0
    witness: int = 0
    leaked: dict[str, int] = field(default_factory=dict)


def attack(frames: int, seed: int) -> Done:
    """So many hostile frames. Raises ValueError when anything is not as it must be."""
    image = build([FOLDER / "server.py", FOLDER / "witness.py"]).path
    with wire() as cable, Machine(image, measured(link=cable.option), timeout=TIMEOUT) as machine:
        cable.guest = machine
        machine.wait_for(b"ready")
        peer = Peer(cable)
        before = ask(peer)
        honest, echo = Client(peer, 1000, HTTP), Client(peer, 1001, ECHO)
        crowd = Crowd(peer, random.Random(seed), honest)
        honest.open()
        echo.open()
        told = machine.console.count(b"witness")
        done = Done(dict.fromkeys(crowd.kinds, 0))
        kinds = list(crowd.kinds)
        chance = random.Random(-seed)
        for start in range(0, frames, ROUND):
            for _ in range(min(ROUND, frames - start)):
                kind = kinds[chance.randrange(len(kinds))]
                cable.send(crowd.kinds[kind]())
                done.sent[kind] += 1
                peer.listen()
            get(honest)
            text = b"%d bytes are sent" % start
            echo.exchange(text, text)
            done.answers += 2
            if start // ROUND % 10 == 0:
                welcome(peer, 2000 + start // ROUND % 4000)
                done.answers += 1
        honest.reset()
        echo.reset()
        after = settled(peer, before)
        for name in ("received", "lost", "opened", "cookies"):
            setattr(done, name, after[name] - before[name])
        done.leaked = {name: before[name] - after[name] for name in LEAKS}
        seen = machine.console.count(b"witness")
        machine.wait_for(b"witness %d\n" % (10 * (seen + 2)))  # also now
        done.witness = machine.console.count(b"witness") - told
        ended = [e for e in machine.events if e.name in ("ended", "panic")]
        if ended or any(done.leaked.values()) or done.received < frames or b"changed" in machine.console:
            raise ValueError(f"seed {seed}: {done}\n{machine.transcript()}")
        return done


def welcome(peer: "Peer", port: int) -> None:
    """The page on a connection of its own. This one the server may give up, when this computer stalls between two of its
    segments: then the client comes again.
    """
    for attempt in range(TRIES):
        newcomer = Client(peer, port + attempt * 4000, HTTP)
        try:
            newcomer.open()
            get(newcomer)
        except ConnectionResetError:
            if attempt + 1 == TRIES:
                raise
        else:
            break
        finally:
            newcomer.reset()


def get(client: "Client") -> None:
    """The page, on a connection that stays."""
    answer = client.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"still here\n")
    if not answer.startswith(b"HTTP/1.1 200 OK\r\n"):
        raise ValueError(f"not the page: {answer!r}")


def ask(peer: "Peer") -> dict[str, int]:
    """What is free or taken on the machine, now."""
    names = (
        "frames",
        "heap blocks",
        "connections",
        "buffers",
        "half open",
        "asked",
        "received",
        "lost",
        "opened",
        "cookies",
    )
    for _ in range(100):
        peer.told = b""
        peer.cable.send(datagram(PEER, 9000, TELL, b""))
        if peer.until(lambda: peer.told != b"", 0.1):
            found = dict(zip(names, map(int, peer.told.split()), strict=True))
            found["heap blocks"] = -found["heap blocks"]  # they are taken, all others free
            return found
    raise ValueError(f"no answer\n{peer.cable.guest and peer.cable.guest.transcript()}")


def settled(peer: "Peer", before: dict[str, int]) -> dict[str, int]:
    """The same when all that has to time out has: at most ten minutes of TCP's, which are shorter here."""
    deadline = time.monotonic() + 30
    while True:
        found = ask(peer)
        if all(found[name] == before[name] for name in LEAKS) or time.monotonic() > deadline:
            return found
        peer.until(lambda: False, 0.1)


# ---- frames


def checksum(data: bytes) -> int:
    """RFC 1071: words of 16 bits are digits, and 65,536 is 1 modulo 65,535."""
    return 65535 - int.from_bytes(data + b"\0" * (len(data) & 1), "big") % 65535


def ipv4(source: bytes, protocol: int, payload: bytes, fragment: int = 0, identification: int = 0) -> bytes:
    """A frame with an IPv4 packet to the guest."""
    total = 20 + len(payload)
    head = struct.pack(">BBHHHBBH", 0x45, 0, total, identification, fragment, 64, protocol, 0) + source + GUEST
    head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
    return (GUEST_STATION + STATION + b"\x08\x00" + head + payload).ljust(60, b"\0")


def segment(
    source: bytes, port: int, to: int, flags: int, sequence: int, acknowledgment: int, window: int = 8192, data: bytes = b"",
    options: bytes = b"",
) -> bytes:  # fmt: skip
    """The payload of a packet with a TCP segment; `options` are whole words."""
    offset = (5 + len(options) // 4) << 4
    fields = port, to, sequence & 0xFFFFFFFF, acknowledgment & 0xFFFFFFFF, offset, flags, window, 0, 0
    text = struct.pack(">HHIIBBHHH", *fields) + options + data
    value = checksum(source + GUEST + struct.pack(">HH", 6, len(text)) + text)
    return text[:16] + value.to_bytes(2, "big") + text[18:]


def is_sound(frame: bytes) -> bool:
    """Whether a frame of the guest's with an IPv4 packet has right lengths and checksums."""
    total = int.from_bytes(frame[16:18], "big")
    text, protocol = frame[34 : 14 + total], frame[23]
    if len(frame) != max(60, 14 + total) or checksum(frame[14:34]) != 65535:
        return False
    pseudo = frame[26:34] + struct.pack(">HH", protocol, len(text)) if protocol != 1 else b""
    return checksum(pseudo + text) == 65535  # 0, as this writes it


def datagram(source: bytes, port: int, to: int, data: bytes) -> bytes:
    """A frame with a UDP datagram."""
    length = 8 + len(data)
    text = struct.pack(">HHHH", port, to, length, 0) + data
    value = checksum(source + GUEST + struct.pack(">HH", 17, length) + text)
    return ipv4(source, 17, text[:6] + value.to_bytes(2, "big") + text[8:])


# ---- who is honest


class Peer:
    """All our ends of the wire. What the guest sends is given to the client of its port, or remembered: the first answer
    to each port of the crowd's.
    """

    def __init__(self, cable: Wire) -> None:
        self.cable = cable
        self.clients: dict[int, Client] = {}
        self.greeted: dict[tuple[bytes, int], tuple[int, int]] = {}  # who was answered a SYN: number and port of ours
        self.told = b""

    def listen(self) -> None:
        """Take what has come."""
        for frame in self.cable.waiting():
            self.take(frame)

    def until(self, reached: Callable[[], bool], seconds: float) -> bool:
        """Listen until then, or so long."""
        deadline = time.monotonic() + seconds
        while not reached():
            self.listen()
            if time.monotonic() > deadline:
                return reached()
            time.sleep(0.0005)
        return True

    def take(self, frame: bytes) -> None:
        kind, protocol, to = frame[12:14], frame[23], frame[30:34]
        if kind == b"\x08\x00" and not is_sound(frame):
            raise ValueError(f"the guest sent what is wrong in itself: {frame.hex()}")
        if kind == b"\x08\x06":
            if frame[20:22] == b"\0\1" and frame[38:42] == PEER:  # somebody's fragments make it ask
                answer = frame[14:20] + b"\0\2" + STATION + PEER + frame[22:32]
                self.cable.send((GUEST_STATION + STATION + b"\x08\x06" + answer).ljust(60, b"\0"))
        elif protocol == 17 and frame[34:36] == TELL.to_bytes(2, "big"):
            self.told = frame[42 : 34 + int.from_bytes(frame[38:40], "big")]
        elif protocol == 6:
            source, port, sequence, acknowledgment = struct.unpack(">HHII", frame[34:46])
            text = frame[34 : 14 + int.from_bytes(frame[16:18], "big")]
            if to == PEER and port in self.clients:
                self.clients[port].take(text[13], sequence, acknowledgment, text[(text[12] >> 4) * 4 :])
            elif text[13] == SYN | ACK and len(self.greeted) < 100:
                self.greeted[to, port] = sequence + 1, source


class Client:
    """One connection of a client that sends again what is not answered."""

    def __init__(self, peer: Peer, port: int, to: int) -> None:
        self.peer, self.port, self.to = peer, port, to
        self.sequence, self.expected, self.acknowledged = 7, 0, 0
        self.opened, self.ended = False, ""
        self.data = b""
        peer.clients[port] = self

    def send(self, flags: int, data: bytes = b"") -> None:
        text = segment(PEER, self.port, self.to, flags, self.sequence, self.expected, data=data)
        self.peer.cable.send(ipv4(PEER, 6, text))

    def take(self, flags: int, sequence: int, acknowledgment: int, data: bytes) -> None:
        if flags & RST and self.opened and sequence == self.expected:
            self.ended = f"by a reset with acknowledgment {acknowledgment}, while at {self.sequence}"
        elif flags & SYN and not self.opened and acknowledgment == self.sequence + 1:
            self.opened, self.expected = True, (sequence + 1) & 0xFFFFFFFF
            self.sequence += 1
            self.send(ACK)
        elif self.opened and data:
            if sequence == self.expected:
                self.data += data
                self.expected = (self.expected + len(data)) & 0xFFFFFFFF
            self.acknowledged = acknowledgment
            self.send(ACK)
        elif self.opened:
            self.acknowledged = acknowledgment

    def again(self, send: Callable[[], None], reached: Callable[[], bool], what: str) -> None:
        """Send until it has been answered."""
        for attempt in range(60):
            send()
            if self.peer.until(lambda: reached() or self.ended != "", 0.05 * (1 + attempt)):
                break
        guest = self.peer.cable.guest
        if self.ended:
            raise ConnectionResetError(f"port {self.port}: {what}, ended {self.ended}\n{guest and guest.transcript()}")
        if not reached():
            raise ValueError(f"port {self.port}: {what}\n{guest and guest.transcript()}")

    def open(self) -> None:
        self.again(lambda: self.send(SYN), lambda: self.opened, "no connection")

    def exchange(self, data: bytes, end: bytes) -> bytes:
        """Send `data`; what comes, which ends with `end`."""
        self.data = b""
        after = (self.sequence + len(data)) & 0xFFFFFFFF

        def answered() -> bool:
            return self.data.endswith(end) and self.acknowledged == after

        if data:
            self.again(lambda: self.send(ACK | PSH, data), answered, f"no answer to {data!r}")
        self.sequence = after
        self.send(ACK)
        if not self.data.endswith(end):
            raise ValueError(f"{self.data!r} came")
        return self.data

    def reset(self) -> None:
        """The end."""
        self.send(RST | ACK)
        del self.peer.clients[self.port]


# ---- who is not


class Crowd:
    """Hostile frames of every kind."""

    def __init__(self, peer: Peer, chance: random.Random, victim: Client) -> None:
        self.peer, self.chance, self.victim = peer, chance, victim
        self.numbers: dict[tuple[bytes, int], int] = {}  # of the latest SYNs
        self.kinds: dict[str, Callable[[], bytes]] = {
            "SYN flood": self.syn,
            "tiny windows": self.tiny,
            "overlapping fragments": self.fragment,
            "random bytes": self.random,
            "cut short": self.cut,
            "wrong checksums": self.wrong,
            "blind": self.blind,
            "options": self.options,
            "ARP": self.arp,
        }

    def stranger(self) -> bytes:
        return bytes([10, 0, 0, self.chance.randrange(3, 255)])

    def port(self) -> int:
        return self.chance.choice((HTTP, HTTP, ECHO, TELL, 0, self.chance.getrandbits(16)))

    def good(self) -> bytes:
        """A frame without fault, of any kind."""
        data = self.chance.randbytes(self.chance.randrange(80))
        kind = self.chance.randrange(4)
        if kind == 0:
            return datagram(self.stranger(), self.chance.getrandbits(16), self.port(), data)
        if kind == 1:
            message = struct.pack(">BBHI", self.chance.choice((8, 8, 0, 3, 5, 11)), 0, 0, 1) + data
            return ipv4(self.stranger(), 1, message[:2] + checksum(message).to_bytes(2, "big") + message[4:])
        return ipv4(self.stranger(), 6, self.any_segment(self.stranger(), data))

    def any_segment(self, source: bytes, data: bytes, options: bytes = b"") -> bytes:
        random = self.chance
        return segment(
            source, random.getrandbits(16), self.port(), random.getrandbits(6), random.getrandbits(32),
            random.getrandbits(32), random.getrandbits(16), data, options,
        )  # fmt: skip

    def syn(self) -> bytes:
        source = self.stranger()
        port, sequence = self.chance.randrange(1024, 65536), self.chance.getrandbits(32)
        if len(self.numbers) > 1000:
            self.numbers.clear()
        self.numbers[source, port] = sequence + 1
        text = segment(source, port, self.chance.choice((HTTP, ECHO)), SYN, sequence, 0, options=b"\2\4\5\xb4")
        return ipv4(source, 6, text)

    def tiny(self) -> bytes:
        """Completes what a SYN began, asks for much, and takes it in crumbs or not at all."""
        if not self.peer.greeted:
            return self.syn()
        (source, port), (number, to) = self.chance.choice(list(self.peer.greeted.items()))
        if self.chance.randrange(8) == 0:
            del self.peer.greeted[source, port]
        window = self.chance.choice((0, 1, 1, 2, 40, 65535))
        data = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * self.chance.randrange(3)
        moved = self.chance.choice((0, 0, 0, 1, 5, 700))
        flags = ACK | self.chance.choice((0, 0, 0, PSH, FIN))
        text = segment(source, port, to, flags, self.numbers.get((source, port), 1), number + moved, window, data)
        return ipv4(source, 6, text)

    def fragment(self) -> bytes:
        """A piece of one of few datagrams, anywhere in it."""
        whole = (
            self.any_segment(PEER, bytes(64)) if self.chance.randrange(2) else datagram(PEER, 9, ECHO, bytes(64))[34:]
        )
        start = self.chance.randrange(12)
        piece = whole[start * 8 : start * 8 + self.chance.choice((8, 16, 24, 5))] or whole[:8]
        place = self.chance.choice((start, start, self.chance.getrandbits(13)))
        more = 0x2000 * self.chance.randrange(2)
        return ipv4(self.stranger(), self.chance.choice((6, 17)), piece, more | place, self.chance.randrange(3))

    def random(self) -> bytes:
        """A good beginning up to some layer, and anything behind."""
        kept = self.chance.choice((0, 6, 12, 14, 20, 34, 38, 42, 46, 54))
        return self.good()[:kept] + self.chance.randbytes(self.chance.randrange(1, 1500 - kept))

    def cut(self) -> bytes:
        frame = self.good()
        return frame[: self.chance.randrange(1, len(frame))]

    def wrong(self) -> bytes:
        frame = bytearray(self.good())
        for _ in range(self.chance.randrange(1, 3)):
            frame[self.chance.randrange(14, len(frame))] ^= 1 << self.chance.randrange(8)
        return bytes(frame)

    def blind(self) -> bytes:
        """In the name of the honest client, who is in the midst of it: no more is known than where it is."""
        random, victim = self.chance, self.victim
        flags = random.choice((RST, RST | ACK, SYN, SYN | ACK, ACK, ACK | PSH, ACK | FIN))
        if random.randrange(2) and flags & (RST | SYN):  # as near as can be without being right
            sequence = victim.sequence + random.choice((-1, 1, 2, 1000, 8000))
        else:
            sequence = victim.sequence + random.randrange(1 << 20, 1 << 31)
        acknowledgment = victim.expected + random.choice((0, 1, 1 << 16, 1 << 30))
        data = random.randbytes(random.randrange(40)) if flags & ACK else b""
        return ipv4(PEER, 6, segment(PEER, victim.port, victim.to, flags, sequence, acknowledgment, data=data))

    def options(self) -> bytes:
        random = self.chance
        options = b""
        while len(options) < random.randrange(4, 41):
            options += random.choice(
                (b"\0", b"\1", b"\2\4", b"\3\3", b"\4\2", b"\5\x0a", b"\5\x12", b"\x08\x0a", b"\xfe")
            )
            options += random.randbytes(random.randrange(9))
        options = options[:40].ljust(-(-min(len(options), 40) // 4) * 4, b"\0")
        source = self.stranger()
        if random.randrange(2):
            return ipv4(source, 6, self.any_segment(source, b"", options))
        text = segment(source, random.getrandbits(16), HTTP, SYN, random.getrandbits(32), 0, 100, options=options)
        return ipv4(source, 6, text)

    def arp(self) -> bytes:
        """Of any host but the honest one, about any host but that."""
        random = self.chance
        station = bytes([2]) + random.randbytes(5)
        target = random.choice((GUEST, self.stranger()))
        packet = struct.pack(">HHBBH", 1, 0x800, 6, 4, random.choice((1, 1, 2, 2, 3, 0)))
        packet += station + self.stranger() + bytes(6) + target
        return (random.choice((GUEST_STATION, b"\xff" * 6)) + station + b"\x08\x06" + packet).ljust(60, b"\0")
