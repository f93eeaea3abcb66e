# SPDX-License-Identifier: MIT
"""Who has what, once a second: every environment with its state, its frames, its slices and its debt, and what the
network device has done. Give it company:

    ./exo run examples/top.py examples/echo.py

All of it is read from the page that the kernel shows to everybody; no call is made for it, and none could tell more.
Ctrl-C ends the machine.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import EnvironmentStatus, State
from exokernel.exos import aegis, console
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import u64

CLEAR = "\x1b[H\x1b[J"  # of a terminal: cursor home, clear what is below


def state_name(status: EnvironmentStatus) -> str:
    if status.state == State.RUNNABLE:
        return "runnable"
    if status.state == State.SLEEPING:
        return "sleeping"
    if status.state == State.EMBRYO:
        return "embryo  "
    return "ended   "


def name_length(status: EnvironmentStatus) -> u64:
    length: u64 = 0
    while length < abi.NAME_BYTES and status.name[length] != 0:
        length += 1
    return length


def slices_of(identifier: u64) -> u64:
    """How many of the processor's slices an environment owns."""
    count: u64 = 0
    for owner in aegis.system_page().slice_owners:
        count += u64(owner == identifier)
    return count


def show(second: u64) -> None:
    system = aegis.system_page()
    network = system.network
    print(CLEAR, end="")
    print(
        f"second {second}: {system.frames} frames, {system.frames_free} free, {slices_of(abi.ENVIRONMENTS)} slices free"
    )
    print(
        "network:",
        network.received,
        "received,",
        network.delivered,
        "delivered,",
        network.unmatched,
        "unmatched,",
        end="",
    )
    print("", network.ring_full, "too many,", network.malformed, "malformed,", network.searched, "searched", end="")
    print(",", network.captured, "copies")
    print("sent:", network.transmitted, "frames,", network.uncopied, "uncopied,", network.queue_full, "refused")
    events = system.events
    print("events:", events.interrupts, "packet interrupts,", events.lines, "lines,", events.wakes, "wakes,", end="")
    print("", events.created, "environments created,", events.ended, "ended,", events.repossessed, "repossessed")
    print(" number  state       frames  slices  debt  name")
    for i in range(abi.ENVIRONMENTS):
        status = system.environments[i]
        if status.state != State.FREE:
            print(f"{i:7}  {state_name(status)}  {status.frames:8}{slices_of(i):8}{system.excess[i]:6}  ", end="")
            print(status.name[: name_length(status)])
    console.flush()


def main() -> None:
    second: u64 = 0
    while True:
        show(second)
        second += 1
        aegis.wait(read_timestamp() + aegis.system_page().timestamp_frequency)
