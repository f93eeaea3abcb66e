# SPDX-License-Identifier: MIT
"""0 receives a port and answers; 1 wants to look on. Without a capability it may not; with a weakened one it sees what
comes, with a whole one also what goes, and 0 misses nothing.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom, Error, Kind, ReceiveRing, Right, State
from exokernel.exos import aegis, transfer
from exokernel.exos.aegis import Message
from exokernel.exos.net import capture, packets
from exokernel.exos.net.packets import udp
from exokernel.metal import Array, addr, aligned, u8, u64

COUNT = len(packets.listed(udp.destination == 7))
ATOMS: Final[Array[Atom, packets.ATOMS]] = packets.atoms(udp.destination == 7)
SLOT = 5
BOTH = Right.READ | Right.WRITE
ring: ReceiveRing = ReceiveRing()
frame: Array[u8, 64] = Array[u8, 64](b"\xff" * 12 + b"\x88\xb5" + b"." * 50)
lent: Array[abi.SendSlot, 1] = aligned(4096, Array[abi.SendSlot, 1]())
given: u64 = 0


def give(caller: u64, message: Message) -> None:
    """First a capability to see what comes, made of the whole one, then the whole one."""
    global given
    mac = u64(aegis.capability_mint(capture.NAME, BOTH))
    message.words[0] = capture.NAME
    message.words[1] = Right.READ if given == 0 else u64(BOTH)
    message.words[2] = mac
    if given == 0:
        message.words[2] = u64(aegis.capability_weaken(capture.NAME, BOTH, mac, Right.READ))
    given += 1


def take(slot: u64) -> None:
    message = Message()
    while message.words[0] == 0:  # until it serves
        aegis.yield_to(abi.ANY_ENVIRONMENT)
        aegis.transfer(0, message)
    print("bind", aegis.bind(slot, message.words[0], message.words[1], message.words[2]))
    print("capture", capture.start(slot))


def wait_for(count: u64) -> None:
    """So many frames captured."""
    while capture.ring.indices.producer < count:
        aegis.yield_to(abi.ANY_ENVIRONMENT)


def look() -> None:
    place = u64(addr(capture.ring))
    print("no capability", aegis.capture_bind(place, SLOT) == Error.NOT_PERMITTED)
    print("no slot", aegis.capture_bind(place, abi.BINDINGS) == Error.BAD_ARGUMENT)
    print("mint", aegis.capability_mint(capture.NAME, Right.READ) == Error.NOT_OWNER)
    print("mint more", aegis.capability_mint(capture.NAME | 1, Right.READ) == Error.NOT_OWNER)
    print("forge", aegis.bind(SLOT, capture.NAME, Right.READ, 12345) == Error.FORGED)
    take(SLOT)
    print("nowhere", aegis.capture_bind(abi.SYSTEM_ADDRESS, SLOT) == Error.BAD_ADDRESS)
    take(SLOT + 1)
    print("ready")
    wait_for(6)
    print("all", capture.ring.indices.producer)
    print("stop", aegis.capture_bind(0, abi.ANY))
    print("less", capture.start(SLOT))
    print("again")
    wait_for(4)
    print("received", capture.ring.indices.producer)


def answer() -> None:
    """To each datagram two frames, one copied and one lent."""
    aegis.network_transmit(u64(addr(frame)), 60)
    lent[0].length = 61
    aegis.network_send(u64(addr(lent)), 1)


def main() -> None:
    if aegis.environment_page().identifier == 1:
        look()
        return
    transfer.serve(give)
    assert aegis.filter_bind(u64(addr(ring)), u64(addr(ATOMS)), COUNT, abi.ANY) >= 0
    lent[0].data[:64].copy_from(frame)
    while ring.indices.consumer < 3 or aegis.system_page().environments[1].state != State.FREE:
        if ring.indices.producer != ring.indices.consumer:
            ring.indices.consumer += 1
            answer()
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("answered")
    while ring.indices.producer < 4:  # the machine may not end before the device has sent everything
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("mine", ring.indices.producer)
    print("captured", aegis.system_page().network.captured, Kind.CAPTURE)
