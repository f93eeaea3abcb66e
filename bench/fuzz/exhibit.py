# SPDX-License-Identifier: MIT
"""Ten million random calls against the kernel, and no promise broken.

Four environments run fuzz.py at once under an auditor; the calls are generated from the interface table. Once for five of
`--runs`, each with a seed of its own (1, 2, ...). A run that reports a violation, or does not end, is no figure but an
error that shows it. Meanwhile frames come that match their filters, so that their handlers run.
"""

import random
import re
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from exokernel.host.build import build
from exokernel.host.exhibit import Context, Figure, with_constants
from exokernel.host.machine import Machine, measured
from exokernel.host.wire import Wire, wire

FUZZER = Path(__file__).with_name("fuzz.py")
ENVIRONMENTS = 4
CALLS = 10_000_000
TIMEOUT = 1200.0  # seconds of one run


def rows(context: Context) -> Iterable[Figure]:
    """See the module."""
    times, calls = [], 0
    for seed in range(1, max(context.runs // 5, 1) + 1):
        started = time.monotonic_ns()
        calls = sum(count for count, _ in fuzz(seed, CALLS // ENVIRONMENTS).values())
        times.append(time.monotonic_ns() - started)
    yield context.figure("random-calls", "count", [calls])
    yield context.figure("random-calls", "ns", times)


def fuzz(seed: int, calls: int, icount: bool = False) -> dict[int, tuple[int, str]]:
    """Boots the fuzzer with `calls` for each environment: what each did, and the digest of all its answers, by number.
    Raises ValueError when a promise was broken. With `icount` two runs are the same; then there is no network device, which
    takes its own time to read what is sent.
    """
    with tempfile.TemporaryDirectory() as folder, wire() as cable:
        source = Path(folder) / "fuzz.py"
        source.write_text(with_constants(FUZZER.read_text(), SEED=seed, CALLS=calls))
        image = build([source] * (1 + ENVIRONMENTS), cache=Path(folder))
        options = measured(icount=True, network=False) if icount else measured(link=cable.option)
        with Machine(image.path, options, timeout=TIMEOUT) as machine:
            sender = threading.Thread(target=send, args=(cable, machine, seed))
            sender.start()
            machine.wait()
            sender.join()
    found = re.findall(
        rb"fuzzer (\d+) calls (\d+) refused (\d+) checks \d+ served \d+ children \d+ handlers (\d+) runs (\d+) digest (\w+)",
        machine.console,
        re.MULTILINE,
    )
    reasons = {  # of their children some end by exceptions; these have no names
        e.values.get("reason") for e in machine.events if e.name == "ended" and "fuzz" in e.values.get("name", "")
    }
    if (
        b"violation" in machine.console
        or len(found) != ENVIRONMENTS
        or not any(int(f[3]) for f in found)
        or (not icount and not any(int(f[4]) for f in found))
        or machine.status != 0
        or reasons != {"exit"}
    ):
        said = b"\n".join(re.findall(rb"^(?:violation|fuzzer|auditor) .*$", machine.console, re.MULTILINE))
        raise ValueError(f"seed {seed}: a promise was broken\n{said.decode()}\n" + "\n".join(machine.control))
    return {int(number): (int(count), digest.decode()) for number, count, *_, digest in found}


def send(cable: Wire, machine: Machine, seed: int) -> None:
    """Frames, most of which a filter of the fuzzer's may match, until the machine ends; what comes from there is read."""
    chance = random.Random(seed)
    while machine.running:
        for _ in cable.waiting():
            pass
        for mark in range(0x11, 0x99, 0x11):
            frame = chance.randbytes(12) + bytes([mark]) * 48 + chance.randbytes(chance.choice((0, 0, 4, 1454)))
            with suppress(OSError):  # it is not there yet, or no longer
                cable.send_or_drop(frame)
        time.sleep(0.0005)
