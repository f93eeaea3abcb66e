# SPDX-License-Identifier: MIT
"""Environment 0 gives the others the shares 2, 1 and 1. They count in three thirds of 200 slices each, but client 2 sleeps
in the second one and client 3 has ended by then; at last both of the others sleep at once.
"""

from exokernel.aegis import abi
from exokernel.exos import aegis, console, schedule
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, u64

TURNS = 200

clients: schedule.Clients = schedule.Clients()


def scheduler() -> None:
    system = aegis.system_page()
    owned: u64 = 0
    while owned < 4:  # until all have given up theirs
        aegis.yield_to(abi.ANY_ENVIRONMENT)
        owned = 0
        for owner in system.slice_owners:
            owned += u64(owner == 0)
    schedule.join(clients, 1, 2)
    schedule.join(clients, 2, 1)
    schedule.join(clients, 3, 1)
    aegis.wait(system.timestamp_frequency // 10)
    schedule.serve(clients)
    print("served")


def main() -> None:
    me = aegis.environment_page().identifier
    if me == 0:
        scheduler()
        return
    schedule.give_up(0)
    system = aegis.system_page()
    third = TURNS * (system.slice_ticks * system.timestamp_frequency // 1_000_000_000)
    start = system.timestamp_frequency // 10
    counts: Array[u64, 3] = Array[u64, 3]()
    end = start + third if me == 3 else start + 3 * third
    doze = start + third if me == 2 else u64(abi.FOREVER)
    now = read_timestamp()
    while now < start:
        now = read_timestamp()
    while now < end:  # costs the same in each client
        counts[(now - start) // third] += 1
        if now >= doze:
            aegis.wait(start + 2 * third)
            doze = abi.FOREVER
        now = read_timestamp()
    for part in range(3):
        if counts[part] > 1:
            print("client", me, "third", part, counts[part])
    console.flush()
    aegis.wait(read_timestamp() + third)  # all sleep
