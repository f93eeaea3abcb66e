# SPDX-License-Identifier: MIT
"""Addresses: one's own by DHCP, others' by DNS. Both ask, serve the network while they wait, and give up. A lease is not
renewed by itself: `configure` again before `lease.seconds` are over.
"""

from exokernel.exos.net import dhcp, dns, interface, network
from exokernel.exos.net.interface import Peer
from exokernel.machine import cpu
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Span, u8, u16, u32, u64

ATTEMPTS = 4
FIRST_EPHEMERAL = 49152

lease: dhcp.Lease = dhcp.Lease()
message: Array[u8, dns.LARGEST] = Array[u8, dns.LARGEST]()
question: u64 = 0  # bytes of it in `message`
resolver: u32 = 0
answer: u32 = 0
news: bool = False


def configure() -> bool:
    """Ask for an address and take it, with mask and gateway; `lease` then says what else was told. False when nobody
    has answered for about fifteen seconds; then everything is as before. The network must have been started.
    """
    global news
    card = network.card
    before = card.address
    if not network.bind(dhcp.CLIENT_PORT, hear_server):
        return False
    dhcp.begin(lease, card.station, u32(cpu.random()))
    card.configuring = True
    card.address = 0
    server = Peer(0xFFFF_FFFF, dhcp.SERVER_PORT, dhcp.CLIENT_PORT, interface.ASK)
    seconds: u64 = 1
    attempts: u64 = 0
    while lease.state != dhcp.State.BOUND and attempts < ATTEMPTS:
        news = False
        network.send(server, message[: dhcp.write(message, lease)])
        wait_until(read_timestamp() + seconds * card.second)
        if not news:
            attempts += 1
            seconds *= 2
            dhcp.begin(lease, card.station, lease.transaction + 1)
    interface.unbind(card, dhcp.CLIENT_PORT)
    card.configuring = False
    card.address = before
    if lease.state != dhcp.State.BOUND:
        return False
    card.address = lease.address
    card.mask = lease.mask
    card.gateway = lease.router
    return True


def hear_server(sender: Peer, data: Span[u8]) -> None:
    global news
    if sender.port == dhcp.SERVER_PORT and dhcp.take(lease, data):
        news = True


def resolve(server: u32, name: bytes) -> u32:
    """The IPv4 address of `name` according to `server`; 0 when there is none, or no answer for about fifteen seconds."""
    global news, question, resolver
    card = network.card
    port = u16(FIRST_EPHEMERAL + (cpu.random() & 0x3FFF))  # RFC 5452: hard to guess, as is the identification
    if not network.bind(port, hear_resolver):
        return 0
    question = dns.write(message, name, u16(cpu.random() >> 20))
    resolver = server
    news = False
    seconds: u64 = 1
    attempts: u64 = 0
    peer = Peer(server, dns.PORT, port, interface.ASK)
    while question != 0 and not news and attempts < ATTEMPTS:
        network.send(peer, message[:question])
        wait_until(read_timestamp() + seconds * card.second)
        attempts += 1
        seconds *= 2
    interface.unbind(card, port)
    return answer if news and answer > dns.FAILED else u32(0)


def hear_resolver(sender: Peer, data: Span[u8]) -> None:
    global news, answer
    if sender.address == resolver and sender.port == dns.PORT:
        found = dns.read(data, message[:question])
        if found != dns.NOT_OURS:
            answer = found
            news = True


def wait_until(deadline: u64) -> None:
    """Serve the network until there is news, or the time has come."""
    while not news and read_timestamp() < deadline:
        if network.poll() == 0:
            network.sleep(deadline)
