# SPDX-License-Identifier: MIT
"""Two environments that receive by filters. 1 has a port, and gives 0 a capability for that filter when asked; 0 tries
to take its frames without, then takes some of them with it. Both print the text of the datagrams that they get.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom, Error, Event, Kind, Right
from exokernel.exos import aegis, console, transfer
from exokernel.exos.aegis import Message
from exokernel.exos.net import packets
from exokernel.exos.net.packets import ip, udp
from exokernel.metal import Array, Span, addr, atomic_and, compiler_barrier, i64, u16, u64

FILTERS = {
    "PORT": udp.destination == 7,
    "NARROWER": (udp.destination == 7) & (udp.source == 5001),
    "WIDER": ip.protocol == 17,
    "ACROSS": udp.source == 9,
    "OTHER_PORT": udp.destination == 8,
}
COUNTS = {name: len(packets.listed(filter)) for name, filter in FILTERS.items()}
PORT: Final[Array[Atom, packets.ATOMS]] = packets.atoms(FILTERS["PORT"])
NARROWER: Final[Array[Atom, packets.ATOMS]] = packets.atoms(FILTERS["NARROWER"])
WIDER: Final[Array[Atom, packets.ATOMS]] = packets.atoms(FILTERS["WIDER"])
ACROSS: Final[Array[Atom, packets.ATOMS]] = packets.atoms(FILTERS["ACROSS"])
OTHER_PORT: Final[Array[Atom, packets.ATOMS]] = packets.atoms(FILTERS["OTHER_PORT"])
PORT_COUNT, NARROWER_COUNT, WIDER_COUNT = COUNTS["PORT"], COUNTS["NARROWER"], COUNTS["WIDER"]
ACROSS_COUNT, OTHER_COUNT = COUNTS["ACROSS"], COUNTS["OTHER_PORT"]

SLOT = 5
WORDS = [  # ring, atoms, count, slot
    *(0xFFFFFFFF80200000, 0x400000, 1, abi.ANY),
    *(0x400001, 0x400000, 1, abi.ANY),
    *(abi.USER_LIMIT - 4096, 0x400000, 1, abi.ANY),
    *(0x400000, 0xFFFFFFFF80200000, 1, abi.ANY),
    *(0x400000, abi.USER_LIMIT - 4, 1, abi.ANY),
    *(0x400000, 0x400000, 1 << 62, abi.BINDINGS),
]
HOSTILE: Final[Array[u64, len(WORDS)]] = Array[u64, len(WORDS)](WORDS)
ring: abi.ReceiveRing = abi.ReceiveRing()
mine: u64 = 0


def bind(atoms: Span[Atom], slot: u64) -> i64:
    return aegis.filter_bind(u64(addr(ring)), u64(addr(atoms[0])), len(atoms), slot)


def give(caller: u64, message: Message) -> None:
    """A capability for the filter."""
    message.words[0] = u64(Kind.FILTER) << abi.NAME_INDEX_BITS | mine & 0xFFFF_FFFF
    message.words[1] = mine >> 32 << 32 | Right.WRITE
    message.words[2] = u64(aegis.capability_mint(message.words[0], message.words[1]))


def next_text() -> bytes:
    """The contents of the next datagram."""
    while ring.indices.producer == ring.indices.consumer:
        console.flush()
        atomic_and(addr(aegis.environment_page().pending), Event.NETWORK ^ 0xFFFF_FFFF_FFFF_FFFF)
        if ring.indices.producer == ring.indices.consumer:
            aegis.wait(abi.FOREVER)
    compiler_barrier()
    slot = ring.slots[ring.indices.consumer % abi.RING_SLOTS]
    length = u64(u16(slot.data[38]) << 8 | slot.data[39])
    compiler_barrier()
    ring.indices.consumer += 1
    return slot.data[42 : 34 + length]


def owner() -> None:
    global mine
    mine = u64(bind(PORT[:PORT_COUNT], abi.ANY))
    transfer.serve(give)
    while True:
        text = next_text()
        print("owner", text)
        if text == b"end":
            aegis.exit(0)


def main() -> None:
    if aegis.environment_page().identifier == 1:
        owner()
    while aegis.system_page().environments[1].state != abi.State.SLEEPING:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("same", bind(PORT[:PORT_COUNT], abi.ANY) == Error.IN_USE)
    print("narrower", bind(NARROWER[:NARROWER_COUNT], abi.ANY) == Error.IN_USE)
    print("wider", bind(WIDER[:WIDER_COUNT], abi.ANY) == Error.IN_USE)
    print("everything", aegis.network_bind(ring) == Error.BUSY)
    print("transmit", aegis.network_transmit(u64(addr(ring)), 60) == Error.BUSY)
    print("no capability", bind(NARROWER[:NARROWER_COUNT], SLOT) == Error.NOT_PERMITTED)
    print("not mine", aegis.filter_remove(0) == Error.NOT_OWNER)
    print("malformed", bind(Array[Atom, 1](), abi.ANY) == Error.BAD_ARGUMENT)
    for i in range(len(HOSTILE) // 4):
        result = aegis.filter_bind(HOSTILE[4 * i], HOSTILE[4 * i + 1], HOSTILE[4 * i + 2], HOSTILE[4 * i + 3])
        print("hostile", result == Error.BAD_ADDRESS or result == Error.BAD_ARGUMENT)
    other = bind(OTHER_PORT[:OTHER_COUNT], abi.ANY)
    print("other port", other >= 0)
    message = Message()
    aegis.transfer(1, message)
    print("bind", aegis.bind(SLOT, message.words[0], message.words[1], message.words[2]))
    print("same", bind(PORT[:PORT_COUNT], SLOT) == Error.IN_USE)
    print("across", bind(ACROSS[:ACROSS_COUNT], SLOT) == Error.IN_USE)
    narrower = bind(NARROWER[:NARROWER_COUNT], SLOT)
    print("narrower", narrower >= 0)
    print("ready")
    while True:
        text = next_text()
        print("other", text)
        if text == b"remove":
            print("removed", aegis.filter_remove(u64(narrower)), aegis.filter_remove(u64(narrower)) == Error.NOT_OWNER)
        if text == b"inherit":
            while aegis.system_page().environments[1].state != abi.State.FREE:
                aegis.yield_to(abi.ANY_ENVIRONMENT)
            print("stale", bind(WIDER[:WIDER_COUNT], SLOT) == Error.NOT_PERMITTED)
            print("inherited", bind(PORT[:PORT_COUNT], abi.ANY) >= 0)
        if text == b"stop":
            return
