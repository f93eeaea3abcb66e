# SPDX-License-Identifier: MIT
"""A handler that gives the processor to a child which has no slice of its own. First the owner sleeps while environment 1
computes, so that no packet comes in the owner's time; after a datagram to the second port it computes itself.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom
from exokernel.exos import aegis, ash, console, process
from exokernel.exos.arguments import Arguments
from exokernel.exos.net import packets
from exokernel.metal import Array, addr, i64, u32, u64

PROGRAMS = ["handler_sliceless.py"]
ATOMS: Final[Array[Atom, 2]] = Array[Atom, 2](
    [packets.listed(packets.field(36, 16) == port)[0] for port in (1000, 1001)]
)
CHILD = 2  # the first number that is free
ring: abi.ReceiveRing = abi.ReceiveRing()


def runs(context: ash.Context) -> u32:
    return u32(ash.run(CHILD)) | ash.Action.DROP


RUNS: Final[ash.Program] = ash.program(runs)


def bind(place: u64) -> i64:
    return aegis.filter_bind(u64(addr(ring)), u64(addr(ATOMS[place])), 1, abi.ANY)


def main() -> None:
    child = process.spawn_apart(b"handler_sliceless", Arguments())
    while aegis.system_page().environments[CHILD].state != abi.State.SLEEPING:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    handler = ash.attach(bind(0), RUNS)
    print("child", child, ash.allow(handler, CHILD), bind(1) >= 0)
    console.flush()
    while ring.indices.producer == 0:
        aegis.wait(abi.FOREVER)
    print("computing")
    console.flush()
    while aegis.system_page().environments[CHILD].state != abi.State.FREE:
        pass
    print("done")
