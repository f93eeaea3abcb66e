# SPDX-License-Identifier: MIT
"""Round trips as somebody outside sees them: a counter in a 60-byte UDP message goes to the machine over a unix datagram
socket and comes back counted up, while other processes are active on the machine (figure 2 of the paper).

The paper does not say what its processes do. Ours compute, and use up every slice that they get. Between two round trips
is a pause of random length, so that messages arrive at any moment of the slices; without it a busy computer, which lets
the client go first, has the next message there before the application can go to sleep. All of it is wall time of this
computer, QEMU's included: `floor` is the same socket with a process of this computer at its other end.
"""

import os
import random
import signal
import struct
import time
from pathlib import Path

from exokernel.host.build import build
from exokernel.host.machine import Machine, measured
from exokernel.host.wire import LARGEST, Wire, wire

SPINNER = Path(__file__).with_name("spinner.py")
TIMEOUT = 120.0
WARM = 3  # round trips that are not counted
PAUSE = 0.002, 0.022  # seconds
COUNTER = 42  # where it is in the frame


def latency(application: Path, processes: int, samples: int, ready: bytes = b"ready") -> list[float]:
    """Nanoseconds of so many round trips to `application`, one after another, with so many active processes on its
    machine, itself among them. It counts on UDP port 7 and prints `ready` when it does. Raises ValueError for a wrong
    answer, MachineError when none comes.
    """
    image = build([application, *[SPINNER] * (processes - 1)]).path
    with wire() as cable, Machine(image, measured(link=cable.option), timeout=TIMEOUT) as machine:
        cable.guest = machine
        machine.wait_for(ready, 60)
        return measure(cable, samples)


def floor(samples: int) -> list[float]:
    """The same when a process of this computer answers."""
    with wire() as cable:
        child = os.fork()
        if child == 0:
            try:
                reflect(cable)
            finally:
                os._exit(1)
        try:
            while not cable.remote.exists():
                time.sleep(0.01)
            return measure(cable, samples)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def reflect(cable: Wire) -> None:
    """Be the other end: count up, and never return."""
    far = Wire(cable.local.parent)
    far.local, far.remote = cable.remote, cable.local
    far.open()
    assert far.socket is not None
    far.socket.settimeout(None)
    while True:
        message = bytearray(far.socket.recv(LARGEST))
        struct.pack_into(">I", message, COUNTER, struct.unpack_from(">I", message, COUNTER)[0] + 1)
        far.send(bytes(message))


def measure(cable: Wire, samples: int) -> list[float]:
    """Round trips over an open wire."""
    assert cable.socket is not None
    times: list[float] = []
    chance = random.Random(1)
    message = bytearray(first_frame())
    for i in range(WARM + samples):
        struct.pack_into(">I", message, COUNTER, i)
        frame = bytes(message)
        time.sleep(chance.uniform(*PAUSE))
        started = time.perf_counter_ns()
        cable.send(frame)
        answer = cable.receive()
        times.append(time.perf_counter_ns() - started)
        if len(answer) != 60 or struct.unpack_from(">I", answer, COUNTER)[0] != i + 1:
            raise ValueError(f"{i} was counted up to {answer.hex()}")
    return times[WARM:]


def first_frame() -> bytes:
    """60 bytes: UDP from port 7000 of 10.0.0.1 to port 7 of 10.0.0.2, without a checksum."""
    ip = bytes.fromhex("4500002e00004000401126bd0a0000010a000002")
    return bytes.fromhex("5254001234560200000000aa0800") + ip + struct.pack(">HHHH", 7000, 7, 26, 0) + bytes(18)
