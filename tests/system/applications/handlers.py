# SPDX-License-Identifier: MIT
"""Loads the programs of a list, each for a UDP port of its own from FIRST on, and says how they end."""

from typing import Final

from handler_programs import BUDGETS, GIVEN  # written by the test

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom
from exokernel.exos import aegis, ash, console
from exokernel.exos.net import packets
from exokernel.metal import Array, addr, atomic_and, u32, u64

FIRST = 1000
COUNT = len(GIVEN)
FILTERS = [packets.field(36, 16) == FIRST + i for i in range(COUNT)]
ATOMS: Final[Array[Atom, COUNT]] = Array[Atom, COUNT]([packets.listed(filter)[0] for filter in FILTERS])
_PROGRAMS = [ash.program(program, budget=budget) for program, budget in zip(GIVEN, BUDGETS, strict=True)]
_STARTS = [sum(map(len, _PROGRAMS[:i])) for i in range(COUNT + 1)]
programs: Final[ash.Program] = b"".join(_PROGRAMS)
starts: Final[Array[u32, COUNT + 1]] = Array[u32, COUNT + 1](_STARTS)
ring: abi.ReceiveRing = abi.ReceiveRing()


def main() -> None:
    end = aegis.environment_page().handler_end
    for i in range(COUNT):
        filter = aegis.filter_bind(u64(addr(ring)), u64(addr(ATOMS[i])), 1, abi.ANY)
        handler = ash.attach(filter, programs[starts[i] : starts[i + 1]])
        if handler < 0:
            print("refused", i, handler, end.reason, end.instruction)
    said = end.count
    print("ready")
    while True:
        console.flush()
        aegis.wait(abi.FOREVER)
        atomic_and(addr(aegis.environment_page().pending), 0)
        if end.count != said:
            said = end.count
            print("ended", said, end.handler, end.reason, end.instruction)
