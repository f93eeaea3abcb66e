# SPDX-License-Identifier: MIT
"""A UDP echo server (RFC 862): each datagram to port 7 goes back to where it came from.

    ./exo run examples/echo.py

and in a second terminal, because FORWARD leads port 7777 of this computer to port 7 of the machine:

    nc -u 127.0.0.1 7777
    hello
    hello

Ctrl-C ends both. The whole network, from the Ethernet header up, is the library in src/exokernel/exos; the kernel
only moves frames.
"""

from exokernel.exos.net import network
from exokernel.exos.net.interface import Peer
from exokernel.metal import Span, u8

FORWARD = ["udp:7777:7"]
ECHO = 7


def echo(sender: Peer, data: Span[u8]) -> None:
    if sender.port != ECHO:  # another echo server: the two would talk for ever
        network.send(sender, data)


def main() -> bool:
    if not network.start() or not network.bind(ECHO, echo):
        print("There is no network device, or another environment has it.")
        return True
    a = network.card.address
    print(f"Echo on UDP {a >> 24}.{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}, port {ECHO}. Try: nc -u 127.0.0.1 7777")
    network.serve_forever()
    return False
