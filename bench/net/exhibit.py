# SPDX-License-Identifier: MIT
"""What bulk costs over TCP: `mebibyte` is a MiB of 4 in one direction, all instructions of kernel and library.

host/counting.py says how they are counted. The server is bench/http/page.py, the peer this computer's Linux through QEMU's
user network. Single requests are the exhibits `http` and `kv`.
`frame-N` hands one frame of N bytes to the device, and takes back one that it has read: `copied` by the kernel, `lent` to
it where it lies, or in a call with seven others.
"""

from collections.abc import Iterable
from functools import partial

from exokernel.host.build import build
from exokernel.host.counting import Work, connect, free_port
from exokernel.host.exhibit import EXHIBITS, Context, Figure
from exokernel.host.machine import Forward, Machine, measured

APPLICATION = EXHIBITS / "http/page.py"
FRAMES = EXHIBITS / "net/frames.py"
BULK = 4 << 20  # as in the application
TIMEOUT = 120.0


def drive(port: int, sending: bool) -> None:
    """Send BULK bytes to the server and end, or read until it ends. Raises ValueError."""
    with connect(port) as connection:
        if sending:
            connection.sendall(bytes(BULK))
            connection.shutdown(1)
        count = 0
        while piece := connection.recv(1 << 20):
            count += len(piece)
    if count != (0 if sending else BULK):
        raise ValueError(f"{count} bytes came")


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    work, source, sink = free_port(), free_port(), free_port()
    rules = (f"tcp:{work}:81", f"tcp:{source}:82", f"tcp:{sink}:83")
    options = measured(icount=True, forward=tuple(Forward.parse(rule) for rule in rules))
    with Machine(build([APPLICATION]).path, options, timeout=TIMEOUT) as machine:
        machine.wait_for(b"ready")
        counter = Work(work)
        for variant, port in (("from-us", source), ("to-us", sink)):
            values = counter.each(min(context.runs, 5), BULK >> 20, partial(drive, port, port == sink))
            yield context.figure("mebibyte", "instructions", values, variant=variant)
    for line in context.run(FRAMES).printed:
        yield context.figure(line.row, "instructions", line.values, variant=line.words)
