# SPDX-License-Identifier: MIT
"""DHCP and DNS in a booted machine: QEMU's own DHCP server, and servers made of scapy's packets on a raw link."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.system.guests import Link, link, running

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.dns import DNS, DNSRR
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import ARP, Ether

APPLICATION = Path(__file__).parent / "library/named.py"
STATION, SERVER = "02:00:00:00:00:aa", "10.7.0.1"

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


def test_qemus_server() -> None:
    """What QEMU's user network tells. (Its resolver asks this computer's, which may be nowhere.)"""
    with running([APPLICATION]) as guest:
        shown = guest.wait_for(b"mask 255.255.255.0\n")
        assert shown == b"address 10.0.2.15\nrouter 10.0.2.2\nmask 255.255.255.0\n", guest.transcript()


class Servers:
    """DHCP, ARP and DNS on the far end of the wire."""

    def __init__(self, wire: Link) -> None:
        self.wire = wire

    def next(self, layer: Any) -> Any:
        """The next frame with that layer; ARP is answered on the way."""
        while True:
            frame = Ether(self.wire.receive())
            if frame.haslayer(ARP) and frame[ARP].op == 1:
                ask = frame[ARP]
                answer = ARP(op=2, hwsrc=STATION, psrc=ask.pdst, hwdst=ask.hwsrc, pdst=ask.psrc)
                self.wire.send(bytes(Ether(src=STATION, dst=ask.hwsrc) / answer))
            elif frame.haslayer(layer):
                return frame

    def tell(self, asked: Any, kind: str, **change: Any) -> None:
        boot = BOOTP(op=2, xid=change.get("xid", asked[BOOTP].xid), yiaddr="10.7.0.99", chaddr=asked[BOOTP].chaddr)
        options = [
            ("message-type", kind), ("server_id", SERVER), ("subnet_mask", "255.255.0.0"), ("router", "10.7.0.254", "10.7.0.253"),
            ("name_server", "10.7.0.53"), ("lease_time", 3600), "end",
        ]  # fmt: skip
        header = Ether(src=STATION, dst="ff:ff:ff:ff:ff:ff") / IP(src=SERVER, dst="255.255.255.255")
        self.wire.send(bytes(header / UDP(sport=67, dport=68) / boot / DHCP(options=options)))

    def answer(self, asked: Any, *records: Any, **change: Any) -> None:
        name = DNS(
            id=change.get("id", asked[DNS].id), qr=1, rcode=change.get("rcode", 0), qd=asked[DNS].qd, an=list(records)
        )
        header = Ether(src=STATION, dst=asked.src) / IP(src=change.get("src", "10.7.0.53"), dst=asked[IP].src)
        self.wire.send(bytes(header / UDP(sport=53, dport=asked[UDP].sport) / name))


def kind_of(frame: Any) -> int:
    return int(dict(o for o in frame[DHCP].options if isinstance(o, tuple))["message-type"])


def test_a_lease_and_a_name() -> None:
    with link() as wire, running([APPLICATION], link=wire.option) as guest:
        wire.guest, servers = guest, Servers(wire)
        discover = servers.next(DHCP)
        assert kind_of(discover) == 1 and discover[IP].src == "0.0.0.0" and discover[IP].dst == "255.255.255.255"
        servers.tell(discover, "offer", xid=12345)  # somebody else's
        servers.tell(discover, "ack")  # out of turn
        servers.tell(discover, "offer")
        request = servers.next(DHCP)
        options = dict(o for o in request[DHCP].options if isinstance(o, tuple))
        assert kind_of(request) == 3 and options["requested_addr"] == "10.7.0.99" and options["server_id"] == SERVER
        servers.tell(request, "nak")
        discover = servers.next(DHCP)
        assert kind_of(discover) == 1, "after a refusal from the start"
        servers.tell(discover, "offer")
        servers.tell(servers.next(DHCP), "ack")
        guest.wait_for(b"address 10.7.0.99\nrouter 10.7.0.254\nmask 255.255.0.0\n")

        asked = servers.next(DNS)
        assert asked[DNS].qd[0].qname == b"www.example.org." and asked[IP].dst == "10.7.0.53"
        right = DNSRR(rrname="www.example.org", type="A", rdata="192.0.2.80")
        wrong = DNSRR(rrname="www.example.org", type="A", rdata="192.0.2.66")
        servers.answer(asked, wrong, id=asked[DNS].id ^ 1)
        servers.answer(asked, wrong, src="10.7.0.54")
        servers.answer(asked, DNSRR(rrname="www.example.net", type="A", rdata="192.0.2.66"), right)
        guest.wait_for(b"name 192.0.2.80\n")
        guest.wait()
        assert guest.status == 0


def test_nobody_answers() -> None:
    with link() as wire, running([APPLICATION], link=wire.option) as guest:
        for _ in range(4):
            assert kind_of(Servers(wire).next(DHCP)) == 1
        guest.wait_for(b"no lease 10.0.0.2\n", 30)
