# SPDX-License-Identifier: MIT
"""The paper's counter (section 6, table 9 of Aegis): a 60-byte UDP message holds a counter, which is counted up and sent
back, here by a handler that runs in the kernel the moment the message arrives. The application itself sleeps.

    ./exo run examples/echo_ash.py

and in a second terminal, because FORWARD leads port 7777 of this computer to port 7 of the machine:

    python3 -c "import socket, struct
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
    s.sendto(struct.pack('>I', 41).ljust(18, b'\\0'), ('127.0.0.1', 7777))
    print(struct.unpack('>I', s.recv(100)[:4])[0])"

prints 42. Whatever else comes is the library's, which has the same ring: it answers ARP and echo requests.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom
from exokernel.exos import aegis, ash
from exokernel.exos.net import checksum, ethernet, ipv4, network, packets, udp
from exokernel.metal import Array, addr, struct, u32, u32be, u64, view

FORWARD = ["udp:7777:7"]
PORT = 7
# UDP behind a header of twenty bytes, whole, for the port: what the handler then need not ask.
FILTER = (packets.field(14, 8) == 0x45) & (packets.ip.protocol == ipv4.UDP) & ((packets.ip.fragment & 0x3FFF) == 0)
FILTER &= packets.field(36, 16) == PORT
ATOMS: Final[Array[Atom, packets.ATOMS]] = packets.atoms(FILTER)
COUNT = len(packets.listed(FILTER))


@struct(packed=True)
class Message:
    """What a datagram says."""

    counter: u32be


def count(context: ash.Context) -> u32:
    """The filter has looked at the headers' kinds. A UDP checksum of 0 is none, and the others stay right: what is swapped
    adds up to the same, and what the counter changes by is taken from the checksum.
    """
    frame = ash.packet(context)
    if len(frame) < 46:
        return ash.Action.DROP
    link = view(ethernet.Header, frame)
    ip = view(ipv4.Header, frame, 14)
    header = view(udp.Header, frame, 34)
    message = view(Message, frame, 42)
    ours, theirs = link.destination, link.source
    ours.high, theirs.high = theirs.high, ours.high
    ours.low, theirs.low = theirs.low, ours.low
    ip.source, ip.destination = ip.destination, ip.source
    header.source_port, header.destination_port = header.destination_port, header.source_port
    counter = message.counter
    message.counter = counter + 1
    if header.checksum != 0:
        header.checksum = checksum.changed(header.checksum, counter, counter + 1)
    return ash.Action.TX


HANDLER: Final[ash.Program] = ash.program(count)


def main() -> bool:
    if not network.start():
        print("There is no network device, or another environment has it.")
        return True
    filter = aegis.filter_bind(u64(addr(network.ring)), u64(addr(ATOMS[0])), COUNT, abi.ANY)
    if ash.attach(filter, HANDLER) < 0:
        return True
    print(f"A handler is ready: it counts on UDP port {PORT}.")
    network.serve_forever()
    return False
