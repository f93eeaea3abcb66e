# SPDX-License-Identifier: MIT
"""A handler: UDP to port 7 goes back where it came from."""

from exokernel.exos.ash import Action, Context, packet
from exokernel.exos.net.ethernet import Header as EthernetHeader
from exokernel.exos.net.ipv4 import UDP
from exokernel.exos.net.ipv4 import Header as IPv4Header
from exokernel.exos.net.udp import Header as UDPHeader
from exokernel.metal import Span, u8, u32, view

PORT = 7


def handler(context: Context) -> u32:
    frame = packet(context)
    if len(frame) < 42:
        return Action.PASS
    ethernet = view(EthernetHeader, frame)
    ip = view(IPv4Header, frame, 14)
    udp = view(UDPHeader, frame, 34)
    if ethernet.kind != 0x0800 or ip.version_and_words != 0x45 or ip.protocol != UDP or udp.destination_port != PORT:
        return Action.PASS
    swap(frame, 0, 6, 6)
    ip.source, ip.destination = ip.destination, ip.source
    udp.source_port, udp.destination_port = udp.destination_port, udp.source_port
    return Action.TX


def swap(frame: Span[u8], first: u32, second: u32, count: u32) -> None:
    for i in range(count):
        frame[first + i], frame[second + i] = frame[second + i], frame[first + i]
