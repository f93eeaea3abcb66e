# SPDX-License-Identifier: MIT
"""Sleeps until a handler of its creator's wakes it, and says so."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Event
from exokernel.exos import aegis, console
from exokernel.metal import addr, atomic_and


def main() -> None:
    page = aegis.environment_page()
    while True:
        console.flush()
        aegis.wait(abi.FOREVER)
        print("child", page.pending == Event.HANDLER)
        atomic_and(addr(page.pending), 0)
