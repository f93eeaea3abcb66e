# SPDX-License-Identifier: MIT
"""Looks at the wire while another application has the network, and writes what passes as a file for tcpdump to the
console, in hexadecimal digits on lines that begin with `pcap`:

    ./exo run examples/capture.py examples/echo.py | sed -un 's/^pcap //p' | xxd -r -p | tcpdump -n -r -

The right to look comes from environment 0, which this is, being named first. Another would need a capability. Nobody
loses a frame by it, and while nobody looks it costs two instructions for each frame. (To keep what passes outside of the
machine, as QEMU sees it, there is `./exo run --pcap FILE`.)
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Event, Right
from exokernel.exos import aegis, console
from exokernel.exos.net import capture
from exokernel.metal import Array, Span, addr, atomic_and, u8, u64

SLOT = 0  # of the binding page
BYTES = 100  # on a line, which is not torn apart by what others print

buffer: Array[u8, capture.LARGEST_RECORD] = Array[u8, capture.LARGEST_RECORD]()


def show(data: Span[u8]) -> None:
    while len(data) != 0:
        count = min(len(data), BYTES)
        print("pcap ", end="")
        for byte in data[:count]:
            print(f"{byte:02x}", end="")
        print()
        data = data[count:]
    console.flush()


def main() -> u64:
    if not capture.take(SLOT, Right.READ | Right.WRITE) or not capture.start(SLOT):
        print("I may not look: there is no network, or I am not the first application.")
        return 1
    show(buffer[: capture.begin(buffer)])
    while True:
        atomic_and(addr(aegis.environment_page().pending), Event.NETWORK ^ 0xFFFF_FFFF_FFFF_FFFF)
        length = capture.next(buffer)
        if length != 0:
            show(buffer[:length])
        else:
            aegis.wait(abi.FOREVER)
