# SPDX-License-Identifier: MIT
"""Environment 0: gives its clients 1, 2 and 3 the processor in the shares 3, 2 and 1, as the paper's figure 3."""

from exokernel.aegis import abi
from exokernel.exos import aegis, schedule
from exokernel.metal import u64

clients: schedule.Clients = schedule.Clients()


def slices() -> u64:
    """How many this environment owns."""
    count: u64 = 0
    for owner in aegis.system_page().slice_owners:
        count += u64(owner == 0)
    return count


def main() -> None:
    system = aegis.system_page()
    while slices() < 4:  # until all have given up theirs
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    schedule.join(clients, 1, 3)
    schedule.join(clients, 3, 1)  # before the one of 2, so that the order is the figure's: A B A A C B
    schedule.join(clients, 2, 2)
    aegis.wait(system.timestamp_frequency // 10)
    schedule.serve(clients)
