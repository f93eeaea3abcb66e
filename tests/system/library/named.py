# SPDX-License-Identifier: MIT
"""Asks for an address, then for that of a name, and prints both."""

from exokernel.exos.net import hosts, network
from exokernel.metal import u32


def show(text: str, a: u32) -> None:
    print(f"{text} {a >> 24}.{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}")


def main() -> bool:
    network.start()
    if not hosts.configure():
        show("no lease", network.card.address)
        return True
    lease = hosts.lease
    show("address", network.card.address)
    show("router", network.card.gateway)
    show("mask", network.card.mask)
    show("name", hosts.resolve(lease.resolver, b"www.example.org"))
    return False
