# SPDX-License-Identifier: MIT
"""Filters as expressions: what they match, judged by scapy's packets and by libpcap, and what they refuse."""

import ctypes
import ctypes.util
import random
from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet
from tests.aegis.filters import SHIFT, A, matches

from exokernel.exos.net import packets
from exokernel.exos.net.packets import Filter, FilterError, arp, ethernet, icmp, ip, tcp, udp

LINK = Ether(dst="52:54:00:12:34:56", src="02:00:00:00:00:aa")
HOST = {"src": "10.0.0.1", "dst": "10.0.0.2"}
FRAMES: dict[str, Packet] = {
    "udp": LINK / IP(**HOST) / UDP(sport=5000, dport=7) / b"hello",
    "udp-options": LINK / IP(**HOST, options=[IPOption_NOP()] * 8) / UDP(sport=5000, dport=7) / b"hello",
    "udp-fragment": LINK / IP(**HOST, frag=5) / UDP(sport=5000, dport=7) / b"hello",
    "udp-answer": LINK / IP(src="10.0.0.2", dst="10.0.0.1") / UDP(sport=7, dport=5000),
    "syn": LINK / IP(**HOST) / TCP(sport=5000, dport=80, flags="S"),
    "ack": LINK / IP(**HOST) / TCP(sport=5000, dport=80, flags="A") / b"GET /",
    "ping": LINK / IP(**HOST) / ICMP(type=8),
    "who-has": LINK / ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.2"),
    "udp6": LINK / IPv6(src="fe80::1", dst="fe80::2") / UDP(sport=5000, dport=7),
    "tagged": LINK / Dot1Q(vlan=5) / IP(**HOST) / UDP(sport=5000, dport=7),
}
BYTES = {name: bytes(frame) for name, frame in FRAMES.items()}


def plain(filter: Filter) -> list[A]:
    """The atoms that the kernel would be given."""
    return [A(int(a.offset), int(a.width), int(a.value), int(a.mask), int(a.kind)) for a in packets.listed(filter)]


def accepted(*filters: Filter) -> set[str]:
    return {name for name, frame in BYTES.items() if any(matches(plain(one), frame) for one in filters)}


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        (packets.everything, set(BYTES)),
        (udp.destination == 7, {"udp", "udp-options"}),
        ((ip.protocol == 17) & (udp.destination == 7), {"udp", "udp-options"}),
        ((ip.source == "10.0.0.1") & (udp.source == 5000) & (udp.destination == 7), {"udp", "udp-options"}),
        (ip.protocol == 17, {"udp", "udp-options", "udp-fragment", "udp-answer"}),
        (ip.source == "10.0.0.0/31", {"udp", "udp-options", "udp-fragment", "syn", "ack", "ping"}),
        (ip.source & 0xFF == 2, {"udp-answer"}),
        (tcp.destination == 80, {"syn", "ack"}),
        (tcp.flags & 2 == 2, {"syn"}),
        (icmp.kind == 8, {"ping"}),
        ((arp.operation == 1) & (arp.target == "10.0.0.2"), {"who-has"}),
        (ethernet.kind == 0x86DD, {"udp6"}),
        (ethernet.destination == "52:54:00:12:34:56", set(BYTES)),
        (ethernet.source & 1 == 0, set(BYTES)),
        (packets.field(42, 32) == int.from_bytes(b"hell", "big"), {"udp", "udp-fragment"}),
    ],
)
def test_expressions(filter: Filter, names: set[str]) -> None:
    assert accepted(filter) == names


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (lambda: (udp.destination == 7) | (udp.destination == 8), "conjunction"),
        (lambda: ~(udp.destination == 7), "must not be"),
        (lambda: udp.destination != 7, "must not be"),
        (lambda: (udp.destination == 7) and (udp.source == 7), "join conditions with &"),
        (lambda: 1 == udp.destination == 7, "join conditions with &"),
        (lambda: udp.destination == 65536, "no value of 16 bits"),
        (lambda: udp.destination & 1 == 2, "no value of 16 bits under the mask 0x1"),
        (lambda: udp.destination == -1, "no value"),
        (lambda: udp.destination == 7.0, "no value"),
        (lambda: ip.source == "10.0.0.256", "no address of 32 bits"),
        (lambda: ip.source == "10.0.0.1/8", "host bits"),
        (lambda: udp.destination == "10.0.0.1", "no address of 16 bits"),
        (lambda: ethernet.source == "hello", "no address of 48 bits"),
        (lambda: (udp.destination == 7) & 5, "no condition"),
        (lambda: packets.listed((udp.destination == 7) & (tcp.destination == 7)), "no frame matches: bit 3 of byte 23"),
        (lambda: packets.listed(packets.field(2000, 8) == 1), "no field of 8 bits at byte 2000"),
        (lambda: packets.field(0, 24), "no field of 24 bits"),
        (
            lambda: packets.listed(Filter(tuple(t for i in range(17) for t in (packets.field(i, 8) == 1).tests))),
            "at most",
        ),
    ],
)
def test_refusals(expression: Callable[[], object], text: str) -> None:
    with pytest.raises(FilterError, match=text):
        expression()


def test_as_an_array_of_the_dialect() -> None:
    made = packets.atoms(udp.destination == 7)
    count = len(packets.listed(udp.destination == 7))
    assert len(made) == packets.ATOMS
    assert [int(a.kind) for a in made[:count]].count(SHIFT) == 1
    assert not any(int(a.mask) for a in made[count:])


# ---- pcap

pcap_installed = pytest.mark.skipif(ctypes.util.find_library("pcap") is None, reason="libpcap is not installed")
EXPRESSIONS = [
    "arp",
    "ip",
    "udp",
    "ip and udp dst port 7",
    "udp port 7",
    "tcp port 80",
    "host 10.0.0.1",
    "ip src net 10.0.0.0/31 and tcp dst port 80",
    "icmp[0] == 8",
    "tcp[13] & 2 != 0",
    "ether src 02:00:00:00:00:aa",
    "ether broadcast",
    "vlan 5",
    "ip[8] == 64 and ip[6:2] & 0x1fff == 0",
]


def judge(expression: str) -> Callable[[bytes], bool]:
    """libpcap's own interpreter."""
    library = ctypes.CDLL(ctypes.util.find_library("pcap"))
    library.pcap_open_dead.restype = ctypes.c_void_p
    handle, program = ctypes.c_void_p(library.pcap_open_dead(1, 65535)), (ctypes.c_uint64 * 2)()
    assert library.pcap_compile(handle, program, expression.encode(), 1, 0xFFFFFFFF) == 0

    def accepts(frame: bytes) -> bool:
        header = (ctypes.c_uint32 * 6)(0, 0, 0, 0, len(frame), len(frame))
        return bool(library.pcap_offline_filter(program, header, frame))

    return accepts


@pcap_installed
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_pcap(expression: str) -> None:
    """The filters accept exactly what libpcap does, of ordinary frames and of frames with a few bytes changed."""
    chance, accepts = random.Random(expression), judge(expression)
    filters = [plain(filter) for filter in packets.pcap(expression)]
    both = set()
    for frame in BYTES.values():
        for _ in range(100):
            wanted = accepts(frame)
            both.add(wanted)
            assert any(matches(one, frame) for one in filters) == wanted, frame.hex()
            changed = bytearray(frame)
            for _ in range(chance.randrange(3)):
                place = chance.randrange(min(len(frame), 60))
                changed[place] = chance.choice([0, 7, 80, frame[place] ^ 1 << chance.randrange(8)])
            frame = bytes(changed)
    assert False in both and (True in both or expression == "ether broadcast")


@pcap_installed
@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("not arp", "must not be"),
        ("udp port 53 and not host 10.0.0.1", "must not be"),
        ("ip and not ip[8] == 1", "must not be"),
        ("tcp portrange 1-5", "computes something"),
        ("len > 60", "computes something"),
        ("tcp[tcp[12]] == 1", "computes|counts"),
        ("hello world", "syntax error|parse"),
    ],
)
def test_pcap_refusals(expression: str, text: str) -> None:
    with pytest.raises(FilterError, match=text):
        packets.pcap(expression)


def test_exclusive_alternatives_are_no_union() -> None:
    """Either of two, but not both: dropping what must not be would accept both."""
    one, other = 0x30, 0x15  # ldb [k]; jeq
    program = [(one, 0, 0, 0), (other, 0, 3, 1), (one, 0, 0, 1), (other, 4, 0, 1), (6, 0, 0, 1)]
    program += [(one, 0, 0, 1), (other, 0, 1, 1), (6, 0, 0, 1), (6, 0, 0, 0)]
    with pytest.raises(FilterError, match="must not be"):
        packets.from_bpf(program)


def test_without_libpcap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(FilterError, match="libpcap is not installed"):
        packets.pcap("arp")
