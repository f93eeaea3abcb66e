# SPDX-License-Identifier: MIT
"""Threads sleep for different times and wake in that order; meanwhile the environment sleeps, whoever computes goes on,
and two wait for what is typed on the console.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Kind, Right
from exokernel.exos import aegis, thread
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, addr, atomic_and, u64

SLEEPERS = 8
MILLISECOND = 1_000_000

order: Array[u64, SLEEPERS] = Array[u64, SLEEPERS]()
woken: u64 = 0
early: u64 = 0
begun: u64 = 0


def doze(number: u64) -> u64:
    """The later it was created, the sooner it wakes."""
    global woken, early
    deadline = begun + (SLEEPERS - number) * 30 * aegis.system_page().timestamp_frequency // 1000
    thread.suspend(deadline, 0)  # as `sleep`, but all count from one moment, however busy the computer is
    early += u64(read_timestamp() < deadline)
    order[woken] = number
    woken += 1
    return 0


def listen(number: u64) -> u64:
    """Waits until something is typed. Whoever comes first takes it; both are woken."""
    events = thread.wait(abi.FOREVER)
    line = aegis.console_read()
    if line >= 0:
        atomic_and(addr(aegis.environment_page().pending), abi.Event.LINE ^ 0xFFFF_FFFF_FFFF_FFFF)
        print("typed", line, events)
    return 0


def main() -> None:
    global begun
    begun = read_timestamp() + aegis.system_page().timestamp_frequency // 2  # all are asleep by then
    handles: Array[u64, SLEEPERS] = Array[u64, SLEEPERS]()
    for i in range(SLEEPERS):
        handles[i] = u64(thread.create(doze, i, 1))
    for handle in handles:
        thread.join(handle)
    print("order", end="")
    for number in order:
        print("", number, end="")
    print(" early", early)
    name = u64(Kind.LINE) << abi.NAME_INDEX_BITS | abi.CONSOLE_LINE
    aegis.bind(0, name, Right.WRITE, u64(aegis.capability_mint(name, Right.WRITE)))
    assert aegis.line_bind(0) == 0, "nobody else has it"
    one = u64(thread.create(listen, 0, 1))
    two = u64(thread.create(listen, 1, 1))
    thread.sleep(MILLISECOND)
    print("ready")
    thread.join(one)
    thread.join(two)
    before = read_timestamp()
    late = thread.wait(before + aegis.system_page().timestamp_frequency // 50)
    print("nothing", late, "in time", read_timestamp() - before >= aegis.system_page().timestamp_frequency // 50)
