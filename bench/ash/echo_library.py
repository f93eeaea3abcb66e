# SPDX-License-Identifier: MIT
"""The counter of examples/echo_ash.py by the library alone: the application is woken, and answers."""

from exokernel.exos.net import network
from exokernel.exos.net.interface import Peer
from exokernel.metal import Span, struct, u8, u32be, view

PORT = 7


@struct(packed=True)
class Message:
    counter: u32be


def count(sender: Peer, data: Span[u8]) -> None:
    if len(data) >= 4:
        view(Message, data).counter += 1
        network.send(sender, data)


def main() -> bool:
    if not network.start() or not network.bind(PORT, count):
        return True
    print("ready")
    network.serve_forever()
    return False
