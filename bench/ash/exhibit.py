# SPDX-License-Identifier: MIT
"""Handlers: a counter in a 60-byte UDP message is counted up and answered by one in the kernel, and by the library; what
inspection and translation cost.

`echo-handler` (examples/echo_ash.py) and `echo-library` (echo_library.py) are instructions from the first one of the
device's interrupt to the store that tells the device of the answer (path.py). The message has no UDP checksum; with the
variant `checksum` it has one, which the handler changes with the counter and the library verifies and makes anew.

`kernel-load` is what loading a handler takes in the kernel (load.py): the counter's, and as long as a kernel takes them one
that is inspected longest and one whose translation is longest. `kernel-load-longest-piece` is the longest of the calls that
this takes.

`echo-executed` counts the machine instructions of tests/host/handlers/udp_echo.py for a 60-byte frame that it
answers, from its entry to its return, one by one (ptrace). `load` is inspection and translation of that handler.

With `--wall`, `latency-N` is the round trip of figure 2 of the paper with N active processes (latency.py): the library's
application waits for its slice among all the others, or owns every other slice and polls, or a handler answers.

On Linux `echo-library` and `echo-handler` are what an answer takes from the interrupt to the device (peer.py).
"""

import ctypes
import os
import signal
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from exokernel.aegis.inspection import Profile
from exokernel.aegis.translation import CONTEXT
from exokernel.host.ash_machine import LIBC, HandlerMachine
from exokernel.host.ash_object import linked
from exokernel.host.build import REPOSITORY
from exokernel.host.exhibit import EXHIBITS, Context, Figure, load
from exokernel.host.linux import SETTINGS, Linux

path = load("ash_path", EXHIBITS / "ash/path.py")
ECHO = REPOSITORY / "tests/host/handlers/udp_echo.py"
EXAMPLE = REPOSITORY / "examples/echo_ash.py"
LIBRARY = REPOSITORY / "bench/ash/echo_library.py"
APPLICATIONS = (("echo-handler", EXAMPLE, b"A handler is ready"), ("echo-library", LIBRARY, b"ready"))
HEADERS = 42
LOADS = 200
FOLDER = EXHIBITS / "ash"
latency = load("latency", FOLDER / "latency.py")
peer = load("peer", FOLDER / "peer.py")
LINUX_PROCESSES = (1, 2, 4, 7, 10)
PROCESSES = 10
TRIPS = 100
RECEIVERS = {
    "library": (LIBRARY, b"ready"),
    "library, every other slice": (FOLDER / "echo_polling.py", b"ready"),
    "handler": (EXAMPLE, b"A handler is ready"),
}
TX = 3


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    for row, application, ready in APPLICATIONS:
        for variant, checksum in (("", False), ("checksum", True)):
            frames = [counter_frame(counter, checksum) for counter in range(context.runs)]
            found = path.answers([application], ready, frames)
            for counter, (answer, _) in enumerate(found):
                if answer[HEADERS : HEADERS + 4] != (counter + 1).to_bytes(4, "big"):
                    raise ValueError(f"{row}: {counter} was answered by {answer.hex()}")
            yield context.figure(row, "instructions", [len(executed) for _, executed in found], variant=variant)
    for line in context.run(FOLDER / "load.py").printed:
        yield context.figure(line.row, "instructions", line.values, variant=line.words)
    program = echo_program()
    machine = HandlerMachine()
    yield context.figure("echo-code", "bytes", [len(machine.machine_code(program, Profile.PACKET))])
    yield context.figure("echo-executed", "count", [executed(machine, program, echo_frame())])
    yield context.figure("load", "ns", [load_time(machine, program) for _ in range(context.runs)])
    if context.wall:
        yield from latencies(context)


def latencies(context: Context) -> Iterable[Figure]:
    """The rows `latency-N`."""
    yield context.figure("latency-floor", "ns", latency.floor(TRIPS), system="limit")
    for processes in range(1, PROCESSES + 1):
        for variant, (application, ready) in RECEIVERS.items():
            times = latency.latency(application, processes, TRIPS, ready)
            yield context.figure(f"latency-{processes}", "ns", times, variant=variant)


def peer_rows(context: Context, linux: Linux) -> Iterable[Figure]:
    """The echo on Linux (peer.py)."""
    for means, variant in peer.MEANS.items():
        row = "echo-handler" if variant.startswith("XDP") else "echo-library"
        for setting, words in SETTINGS.items():
            counts = peer.paths(linux, means, words, latency.first_frame())
            yield context.figure(row, "instructions", counts, "linux", f"{variant}{setting}")
    for processes in LINUX_PROCESSES if context.wall else ():
        for means, variant in peer.MEANS.items():
            times = peer.latency(linux, means, processes, TRIPS, latency.measure)
            yield context.figure(f"latency-{processes}", "ns", times, "linux", variant)


def load_time(machine: HandlerMachine, program: bytes) -> float:
    """Nanoseconds of one inspection and translation, the best of some; with about 10 microseconds of the caller's."""
    best = float("inf")
    for _ in range(LOADS):
        started = time.perf_counter_ns()
        machine.load(program, Profile.PACKET)
        best = min(best, time.perf_counter_ns() - started)
    return best


# ---- the echo


def echo_program() -> bytes:
    """The handler's instructions, compiled in a process of its own, as LLVM wants."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        return linked(pool.submit(compile_echo).result(), "udp_echo")[0].program


def compile_echo() -> bytes:
    """The object."""
    from exokernel.host.ash import handler_of
    from exokernel.metal.handler import compile_handler

    return compile_handler(handler_of(ECHO))


def counter_frame(counter: int, checksum: bool) -> bytes:
    """60 bytes for port 7 of 10.0.0.2."""
    frame = bytearray(echo_frame())
    frame[:6] = bytes.fromhex("525400123456")  # QEMU's default
    frame[34:36] = (5000).to_bytes(2, "big")
    frame[24:26] = ones_complement(bytes(frame[14:34])).to_bytes(2, "big")
    frame[HEADERS : HEADERS + 4] = counter.to_bytes(4, "big")
    if checksum:
        pseudo = bytes(frame[26:34]) + bytes((0, 17)) + bytes(frame[38:40])
        frame[40:42] = ones_complement(pseudo + bytes(frame[34:])).to_bytes(2, "big")
    return bytes(frame)


def ones_complement(data: bytes) -> int:
    """RFC 1071."""
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def echo_frame() -> bytes:
    """60 bytes: UDP from port 7 of 10.0.0.1 to port 7 of 10.0.0.2, so that the answer can be answered too."""
    ip = bytes.fromhex("4500002e00004000401100000a0000010a000002")
    return bytes.fromhex("0200000000020200000000010800") + ip + bytes.fromhex("00070007001a0000") + bytes(18)


PTRACE_TRACEME, PTRACE_CONT, PTRACE_SINGLESTEP, PTRACE_GETREGS = 0, 7, 9, 12
RIP = 16  # of the registers that PTRACE_GETREGS gives


def executed(machine: HandlerMachine, program: bytes, frame: bytes) -> int:
    """Instructions in the handler's code during one run that must return."""
    LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    LIBC.ptrace.restype = ctypes.c_long
    process = os.fork()
    if process == 0:
        status = 1
        try:
            answered = machine.run(program, Profile.PACKET, frame).result == TX
            LIBC.ptrace(PTRACE_TRACEME, 0, None, None)
            os.kill(os.getpid(), signal.SIGSTOP)
            status = machine.enter(CONTEXT, 0, 0) or not answered
        finally:
            os._exit(status)
    machine.load(program, Profile.PACKET)
    registers = (ctypes.c_uint64 * 27)()
    count, left = 0, False
    while os.WIFSTOPPED(status := os.waitpid(process, 0)[1]):
        LIBC.ptrace(PTRACE_GETREGS, process, None, registers)
        inside = registers[RIP] in machine.code
        left = left or (count > 0 and not inside)
        count += inside
        LIBC.ptrace(PTRACE_CONT if left else PTRACE_SINGLESTEP, process, None, None)
    if status != 0:
        raise ValueError(f"the echo did not answer: {status}")
    return count
