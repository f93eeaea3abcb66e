# SPDX-License-Identifier: MIT
"""Ethernet frames for the tests, and `expected_answer`: what a host with an echo service must answer to any bytes at
all.

It is written from the RFCs in plain Python and shares nothing with the library it judges.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

BROADCAST = b"\xff" * 6
ECHO_PORT = 7


@dataclass(frozen=True)
class Host:
    station: bytes
    address: bytes

    @property
    def network(self) -> bytes:
        return self.address[:3]  # all tests use /24


GUEST = Host(bytes.fromhex("525400123456"), bytes([10, 0, 0, 2]))
PEER = Host(bytes.fromhex("0200000000aa"), bytes([10, 0, 0, 1]))


def checksum(data: bytes) -> int:
    """RFC 1071, word by word."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ethernet(destination: bytes, source: bytes, kind: int, payload: bytes) -> bytes:
    return (destination + source + struct.pack(">H", kind) + payload).ljust(60, b"\0")


def ipv4(source: bytes, destination: bytes, protocol: int, payload: bytes, **change: int) -> bytes:
    """A datagram; `change` overrides fields: version, words, total_length, identification, fragment, ttl, checksum; and
    `options` appends that many bytes of "no operation"."""
    options = b"\x01" * change.get("options", 0)
    words = change.get("words", 5 + len(options) // 4)
    header = struct.pack(
        ">BBHHHBBH4s4s",
        change.get("version", 4) << 4 | words,
        0,
        change.get("total_length", 20 + len(options) + len(payload)),
        change.get("identification", 0),
        change.get("fragment", 0),
        change.get("ttl", 64),
        protocol,
        0,
        source,
        destination,
    )
    value = change.get("checksum", checksum(header + options))
    return header[:10] + struct.pack(">H", value) + header[12:] + options + payload


def udp(source: bytes, destination: bytes, source_port: int, port: int, data: bytes, **change: int) -> bytes:
    """A datagram; `change` overrides length and checksum."""
    length = change.get("length", 8 + len(data))
    header = struct.pack(">HHHH", source_port, port, length, 0)
    pseudo = source + destination + struct.pack(">BBH", 0, 17, length)
    value = change.get("checksum", checksum(pseudo + header + data) or 0xFFFF)
    return header[:6] + struct.pack(">H", value) + data


def ipv4_frame(protocol: int, body: bytes, sender: Host = PEER, receiver: Host = GUEST, **change: int) -> bytes:
    packet = ipv4(sender.address, receiver.address, protocol, body, **change)
    return ethernet(receiver.station, sender.station, 0x0800, packet)


def udp_frame(
    data: bytes,
    port: int = ECHO_PORT,
    source_port: int = 40000,
    sender: Host = PEER,
    receiver: Host = GUEST,
    **change: int,
) -> bytes:
    datagram = udp(sender.address, receiver.address, source_port, port, data)
    return ipv4_frame(17, datagram, sender, receiver, **change)


def segment(
    source: bytes,
    port: int,
    flags: int,
    sequence: int,
    acknowledgment: int = 0,
    data: bytes = b"",
    options: bytes = b"",
) -> bytes:
    """From `port` to left's port 80."""
    fields = port, 80, sequence & 0xFFFFFFFF, acknowledgment & 0xFFFFFFFF, 5 + len(options) // 4 << 4, flags, 8192, 0, 0
    text = struct.pack(">HHIIBBHHH", *fields) + options + data
    value = checksum(source + GUEST.address + struct.pack(">BBH", 0, 6, len(text)) + text)
    return text[:16] + struct.pack(">H", value) + text[18:]


def icmp(kind: int, code: int, rest: bytes) -> bytes:
    value = checksum(bytes([kind, code, 0, 0]) + rest)
    return bytes([kind, code]) + struct.pack(">H", value) + rest


def ping_frame(data: bytes, sender: Host = PEER, receiver: Host = GUEST, **change: int) -> bytes:
    return ipv4_frame(1, icmp(8, 0, b"\x12\x34\x00\x01" + data), sender, receiver, **change)


def arp(operation: int, sender: Host, target_station: bytes, target: bytes) -> bytes:
    return struct.pack(
        ">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, sender.station, sender.address, target_station, target
    )


def arp_request(sender: Host = PEER, target: bytes = GUEST.address) -> bytes:
    return ethernet(BROADCAST, sender.station, 0x0806, arp(1, sender, bytes(6), target))


# What must be answered


def expected_answer(frame: bytes, host: Host = GUEST) -> bytes | None:
    """The one frame that `host`, with a UDP echo service on port 7, answers to `frame`; None for silence."""
    if not 14 <= len(frame) <= 1514:
        return None
    destination, source, kind = struct.unpack(">6s6sH", frame[:14])
    if source[0] & 1 or source == bytes(6) or destination not in (host.station, BROADCAST):
        return None
    payload = frame[14:]
    if kind == 0x0806:
        return answer_to_arp(payload, host)
    if kind == 0x0800 and destination != BROADCAST:
        return answer_to_ipv4(payload, source, host)
    return None


def answer_to_arp(payload: bytes, host: Host) -> bytes | None:
    if len(payload) < 28 or payload[:8] != bytes.fromhex("0001080006040001"):
        return None
    sender = Host(payload[8:14], payload[14:18])
    if sender.station[0] & 1 or sender.station == bytes(6) or payload[24:28] != host.address:
        return None
    if sender.address != bytes(4) and not could_ask(sender.address, host, local=True):
        return None
    return ethernet(sender.station, host.station, 0x0806, arp(2, host, sender.station, sender.address))


def could_ask(address: bytes, host: Host, local: bool = False) -> bool:
    """Whether `address` is one that a single other host can have."""
    if address[0] in (0, 127) or address[0] >= 224 or address == host.address:
        return False
    if address[:3] == host.network:
        return address[3] not in (0, 255)
    return not local


def answer_to_ipv4(packet: bytes, station: bytes, host: Host) -> bytes | None:
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return None
    header = (packet[0] & 15) * 4
    total, _, fragment = struct.unpack(">HHH", packet[2:8])
    if not 20 <= header <= total <= len(packet) or checksum(packet[:header]) != 0:
        return None
    source, destination = packet[12:16], packet[16:20]
    if destination != host.address or not could_ask(source, host) or fragment & 0x3FFF:
        return None
    body, protocol = packet[header:total], packet[9]
    if protocol == 1 and len(body) >= 8 and body[0] == 8 and body[1] == 0 and checksum(body) == 0:
        protocol, answer = 1, icmp(0, 0, body[4:])
    elif protocol == 17:
        given = udp_contents(body, source, destination)
        if given is None:
            return None
        source_port, port, data = given
        if port == ECHO_PORT and source_port in (0, ECHO_PORT):  # nobody waits for it; the two would go on for ever
            return None
        if port == ECHO_PORT:
            answer = udp(destination, source, port, source_port, data)
        else:
            protocol, answer = 1, icmp(3, 3, bytes(4) + packet[: min(header + 8, total)])
    else:
        return None
    return ethernet(station, host.station, 0x0800, ipv4(destination, source, protocol, answer, fragment=0x4000))


def udp_contents(body: bytes, source: bytes, destination: bytes) -> tuple[int, int, bytes] | None:
    if len(body) < 8:
        return None
    source_port, port, length, value = struct.unpack(">HHHH", body[:8])
    if not 8 <= length <= len(body) or port == 0:
        return None
    if value != 0 and checksum(source + destination + struct.pack(">BBH", 0, 17, length) + body[:length]) != 0:
        return None
    return source_port, port, body[8:length]


# What a hostile peer sends


def broken_frames() -> Iterator[tuple[str, bytes]]:
    """Frames with one thing wrong each, by name. None of them may be answered."""
    good = udp_frame(b"the quick brown fox")
    stranger = Host(PEER.station, bytes([10, 0, 0, 2]))
    yield "another station", b"\x52\x54\x00\x99\x99\x99" + good[6:]
    yield "multicast station", b"\x01\x00\x5e\x00\x00\x01" + good[6:]
    yield "sender a group", good[:6] + b"\x03\x00\x00\x00\x00\xaa" + good[12:]
    yield "sender nobody", good[:6] + bytes(6) + good[12:]
    yield "broadcast to a unicast address", BROADCAST + good[6:]
    yield "IPv6", good[:12] + b"\x86\xdd" + good[14:]
    yield "length instead of a kind", good[:12] + b"\x00\x2e" + good[14:]
    for version in (0, 3, 5, 6, 15):
        yield f"IP version {version}", udp_frame(b"x" * 30, version=version)
    for words in (0, 1, 4, 6, 15):
        yield f"header of {words} words", udp_frame(b"x" * 30, words=words)
    for length in (0, 19, 20, 27, 100, 1480, 65535):
        yield f"total length {length}", udp_frame(b"x" * 30, total_length=length)
    yield "IP checksum", udp_frame(b"x", checksum=0x1234)
    yield "IP checksum zero", udp_frame(b"x", checksum=0)
    for fragment, name in ((0x2000, "first"), (0x2001, "middle"), (0x0003, "last"), (0x1FFF, "ping of death")):
        yield f"fragment: {name}", udp_frame(b"x" * 30, fragment=fragment)
    yield "overlapping fragment one", udp_frame(b"x" * 40, fragment=0x2000, identification=9)
    yield "overlapping fragment two", udp_frame(b"y" * 40, fragment=0x0001, identification=9)
    for address in ("127.0.0.1", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "10.0.0.255", "10.0.0.0"):
        yield f"from {address}", udp_frame(b"x", sender=Host(PEER.station, bytes(map(int, address.split(".")))))
    yield "from itself", udp_frame(b"x", sender=stranger)
    for address in ("10.0.0.3", "10.0.0.255", "255.255.255.255", "224.0.0.1", "127.0.0.1"):
        yield f"to {address}", udp_frame(b"x", receiver=Host(GUEST.station, bytes(map(int, address.split(".")))))
    for length in (0, 7, 9 + 18, 1472, 65535):
        datagram = udp(PEER.address, GUEST.address, 40000, 7, b"x" * 18, length=length)
        yield f"UDP length {length}", ipv4_frame(17, datagram)
    datagram = udp(PEER.address, GUEST.address, 40000, 7, b"x" * 18, checksum=0xBEEF)
    yield "UDP checksum", ipv4_frame(17, datagram)
    yield "UDP port 0", udp_frame(b"x", port=0)
    yield "echo to echo", udp_frame(b"x", source_port=7)
    yield "from UDP port 0", udp_frame(b"x", source_port=0)
    for length in range(8):
        yield f"UDP header of {length} bytes", ipv4_frame(17, bytes(length))
        yield f"ICMP header of {length} bytes", ipv4_frame(1, icmp(8, 0, bytes(4))[:length])
    bad = bytearray(ping_frame(b"ping"))
    bad[45] ^= 1
    yield "ICMP checksum", bytes(bad)
    for kind, code in ((0, 0), (3, 3), (5, 1), (8, 1), (13, 0), (17, 0), (255, 255)):
        message = icmp(kind, code, bytes(20))
        yield f"ICMP kind {kind} code {code}", ipv4_frame(1, message)
    for protocol in (0, 2, 4, 6, 41, 255):
        yield f"IP protocol {protocol}", ipv4_frame(protocol, bytes(30))
    yield "ping to a broadcast", BROADCAST + ping_frame(b"smurf")[6:]
    request = arp_request()
    for name, offset, value in (
        ("hardware", 14, b"\x00\x06"), ("protocol", 16, b"\x86\xdd"), ("hardware length", 18, b"\x08"),
        ("protocol length", 19, b"\x10"), ("operation 0", 20, b"\x00\x00"), ("operation 3", 20, b"\x00\x03"),
        ("a reply", 20, b"\x00\x02"), ("group sender", 22, b"\x01"), ("another target", 38, b"\x0a\x00\x00\x03"),
        ("our own address", 28, GUEST.address), ("sender elsewhere", 28, b"\xc0\xa8\x00\x01"),
        ("broadcast sender", 28, b"\x0a\x00\x00\xff"),
    ):  # fmt: skip
        yield f"ARP: {name}", request[:offset] + value + request[offset + len(value) :]
    yield "ARP cut short", request[: 14 + 27]


def truncated_frames() -> Iterator[tuple[str, bytes]]:
    """Good frames cut at every length from 1. (Not from 0: QEMU's datagram sockets take an empty one for the end.)"""
    whole = {"UDP": udp_frame(b"eighteen bytes....")[:60], "ping": ping_frame(b"x" * 18), "ARP": arp_request()[:42]}
    for name, frame in whole.items():
        for length in range(1, len(frame)):
            yield f"{name} cut to {length}", frame[:length]


def random_frames(seed: int, count: int) -> Iterator[bytes]:
    """Random bytes, random bytes behind good beginnings, and good frames with some bytes changed."""
    chance = random.Random(seed)
    for _ in range(count):
        data = chance.randbytes(chance.randrange(60))
        good = chance.choice([udp_frame(data), ping_frame(data), arp_request()])
        kind = chance.randrange(4)
        if kind == 0:
            yield chance.randbytes(chance.randrange(1, 1600))
        elif kind == 1:
            kept = chance.choice([6, 12, 14, 34, 42])
            yield good[:kept] + chance.randbytes(chance.randrange(200))
        elif kind == 2:
            changed = bytearray(good)
            for _ in range(chance.randrange(1, 4)):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            yield bytes(changed)
        else:
            yield good[: chance.randrange(1, len(good) + 1)] + chance.randbytes(chance.randrange(20))
