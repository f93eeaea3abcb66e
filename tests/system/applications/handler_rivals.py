# SPDX-License-Identifier: MIT
"""Two owners of handlers, each for its port. 1 tries to get at 0's filter and handler; a datagram to a third port makes it
read where nothing is, which is its end. Then 0 takes its port.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom, Error
from exokernel.exos import aegis, ash, console
from exokernel.exos.net import packets
from exokernel.metal import Array, Ptr, addr, atomic_and, i64, u32, u64

FIRST = 1000
PORTS = 3
ATOMS: Final[Array[Atom, PORTS]] = Array[Atom, PORTS](
    [packets.listed(packets.field(36, 16) == FIRST + i)[0] for i in range(PORTS)]
)
ring: abi.ReceiveRing = abi.ReceiveRing()


def marks(context: ash.Context) -> u32:
    frame = ash.packet(context)
    if len(frame) < 60:
        return ash.Action.DROP
    frame[59] = 1
    return ash.Action.TX


def marks_otherwise(context: ash.Context) -> u32:
    frame = ash.packet(context)
    if len(frame) < 60:
        return ash.Action.DROP
    frame[59] = 2
    return ash.Action.TX


def looks_below(context: ash.Context) -> u32:
    """Where frames before this one lay."""
    return u32(Ptr[u64](u64(context.data) - 8)[0]) & 1 | 2


MARKS: Final[ash.Program] = ash.program(marks)
OTHERWISE: Final[ash.Program] = ash.program(marks_otherwise)
LOOKS: Final[ash.Program] = ash.program(looks_below)


def bind(place: u64) -> i64:
    return aegis.filter_bind(u64(addr(ring)), u64(addr(ATOMS[place])), 1, abi.ANY)


def await_event() -> None:
    console.flush()
    aegis.wait(abi.FOREVER)
    atomic_and(addr(aegis.environment_page().pending), 0)


def rival() -> None:
    handler = u64(ash.attach(bind(1), OTHERWISE))
    bind(2)
    got: u64 = 0
    for filter in range(512):
        for generation in range(4):
            if filter != 1 and filter != 2:
                got += u64(ash.handler_attach(filter | generation << 32, handler) != Error.NOT_OWNER)
                got += u64(ash.handler_attach(filter | generation << 32, abi.ANY) != Error.NOT_OWNER)
    for number in range(64):
        for generation in range(4):
            if number | generation << 32 != handler:
                got += u64(ash.handler_remove(number | generation << 32) != Error.NOT_OWNER)
                got += u64(ash.handler_attach(1, number | generation << 32) != Error.NOT_OWNER)
    print("rival got", got)
    await_event()
    Ptr[u64](8)[0] = 1


def main() -> None:
    if aegis.environment_page().identifier == 1:
        while not first_is_bound():
            aegis.yield_to(abi.ANY_ENVIRONMENT)
        rival()
    filter = bind(0)
    while filter == Error.IN_USE:  # the other one probes
        aegis.yield_to(abi.ANY_ENVIRONMENT)
        filter = bind(0)
    ash.attach(filter, MARKS)
    print("bound")
    console.flush()
    while aegis.system_page().environments[1].state != abi.State.FREE:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("alone")
    console.flush()
    page = aegis.environment_page()
    while page.handler_end.count == 0:  # a frame for the port that nobody has comes before this
        if aegis.system_page().network.unmatched != 0:
            break
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    name = ash.attach(bind(1), LOOKS)
    print("took", name >= 0)
    while page.handler_end.count == 0:
        await_event()
    ash.report()
    console.flush()
    while True:
        await_event()


def first_is_bound() -> bool:
    """Environment 0 receives: a wider filter of ours would take its frames."""
    probe = bind(0)
    if probe >= 0:
        aegis.filter_remove(u64(probe))
    return probe == Error.IN_USE
