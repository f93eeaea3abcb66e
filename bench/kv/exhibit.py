# SPDX-License-Identifier: MIT
"""What a command costs the key-value server: all instructions of kernel and library.

`instructions-per-request` is one GET of a 16-byte value, N of them under way at once on one connection (`pipeline-N`),
and one SET of such a value (`set pipeline-N`); host/counting.py says how they are counted. The client is this computer's
Linux through QEMU's user network. With `--wall`, `requests` is what redis-benchmark gets done per second, with 50
connections, from Linux's TCP over a tap device (host/namespace.py; without root the row is left out, and says so).

`drive` and `rate` do not know who serves.
"""

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from functools import partial

from exokernel.host import linux_servers
from exokernel.host.build import REPOSITORY, build
from exokernel.host.counting import Work, connect, free_port
from exokernel.host.exhibit import EXHIBITS, Context, Figure
from exokernel.host.linux import SETTINGS, Linux
from exokernel.host.machine import Forward, Machine, measured
from exokernel.host.namespace import GUEST, namespace
from exokernel.host.terminal import Failure

APPLICATION = EXHIBITS / "kv/keys.py"
EXAMPLE = REPOSITORY / "examples/kv.py"
VARIANTS = ("pipeline-1", "pipeline-16", "pipeline-64", "set pipeline-1", "set pipeline-16")
REQUESTS = 512  # a multiple of each depth
LOADS = (("pipeline-1", 40_000), ("pipeline-16", 200_000), ("set pipeline-1", 40_000), ("set pipeline-16", 200_000))
CONNECTIONS = 50
VALUE = b"0123456789abcdef"
TIMEOUT = 180.0


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    runs = min(context.runs, 5)
    port, work = free_port(), free_port()
    options = measured(icount=True, forward=(Forward.parse(f"tcp:{port}:6379"), Forward.parse(f"tcp:{work}:81")))
    with Machine(build([APPLICATION]).path, options, timeout=TIMEOUT) as machine:
        machine.wait_for(b"ready")
        counter = Work(work)
        for variant in VARIANTS:
            values = counter.each(runs, REQUESTS, partial(drive, port, variant, REQUESTS))
            yield context.figure("instructions-per-request", "instructions", values, variant=variant)
    if context.wall:
        with context.if_possible("requests"):
            if shutil.which("redis-benchmark") is None:
                raise Failure("redis-benchmark is not installed")
            with namespace() as link, Machine(build([EXAMPLE]).path, measured(link=link), timeout=TIMEOUT) as machine:
                machine.wait_for(b"Keys and values")
                yield from requests(context)


def peer_rows(context: Context, linux: Linux) -> Iterable[Figure]:
    """redis of Debian on Linux: the same clients."""
    runs = min(context.runs, 5)
    for setting, words in SETTINGS.items():
        with linux_servers.serving(linux, linux_servers.redis(), words) as server:
            work = Work(server.work)
            for variant in VARIANTS:
                drive(server.port, variant, depth_of(variant))
                values = work.each(runs, REQUESTS, partial(drive, server.port, variant, REQUESTS))
                named = f"redis, {variant}{setting}"
                yield context.figure("instructions-per-request", "instructions", values, "linux", named)
    if context.wall:
        with context.if_possible("requests"):
            with namespace() as link, linux_servers.serving(linux, linux_servers.redis(), link=link, icount=False):
                yield from requests(context, "linux", "redis, ")


def requests(context: Context, system: str = "exos", words: str = "") -> Iterator[Figure]:
    """The row of that name, from whoever keeps the keys on the link. Raises ValueError."""
    for variant, count in LOADS:
        values = [rate(GUEST, 6379, variant, count) for _ in range(min(context.runs, 3))]
        yield context.figure("requests", "per-second", values, system, f"{words}{variant}, {CONNECTIONS} at once")


def depth_of(variant: str) -> int:
    return int(variant.rpartition("-")[2])


def command(*words: bytes) -> bytes:
    """As the protocol writes it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def drive(port: int, variant: str, requests: int) -> None:
    """So many commands to 127.0.0.1:`port`, in the way of one of VARIANTS, one client. Raises ValueError when an answer is
    wrong.
    """
    depth = depth_of(variant)
    question, answer = command(b"GET", b"key"), b"$%d\r\n%s\r\n" % (len(VALUE), VALUE)
    setting, done = command(b"SET", b"key", VALUE), b"+OK\r\n"
    with connect(port) as connection, connection.makefile("rb") as stream:
        connection.sendall(setting)
        if stream.readline() != done:
            raise ValueError("nothing was set")
        if variant.startswith("set "):
            question, answer = setting, done
        for _ in range(requests // depth):
            connection.sendall(question * depth)
            if stream.read(len(answer) * depth) != answer * depth:
                raise ValueError("a wrong answer")


def rate(address: str, port: int, variant: str, requests: int, connections: int = CONNECTIONS) -> float:
    """Commands per second that redis-benchmark gets answered by that address. Raises ValueError when any goes wrong."""
    kind = "set" if variant.startswith("set ") else "get"
    words = f"redis-benchmark -h {address} -p {port} -t {kind} -n {requests} -c {connections} -d {len(VALUE)}".split()
    words += ["-P", str(depth_of(variant)), "-r", "1000", "--csv"]
    run = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    found = [line.split(",") for line in run.stdout.splitlines() if line.startswith(f'"{kind.upper()}')]
    if len(found) != 1 or "rror" in run.stdout + run.stderr:
        raise ValueError(run.stdout + run.stderr)
    return float(found[0][1].strip('"'))
