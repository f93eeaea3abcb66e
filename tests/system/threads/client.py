# SPDX-License-Identifier: MIT
"""Environment 0 is a scheduler; its clients own no slices, and each has threads that compute with all registers, count
under a mutex, and never give the processor away. Their turns end with those of their environment.
"""

import counting
import registers

from exokernel.aegis import abi
from exokernel.exos import aegis, schedule, thread
from exokernel.metal import u64

clients: schedule.Clients = schedule.Clients()


def main() -> None:
    number = aegis.environment_page().identifier
    if number != 0:
        schedule.give_up(0)
        thread.switch_at_slice_ends()
        registers.main()
        counting.main()
        return
    for client in range(1, abi.ENVIRONMENTS):
        if aegis.system_page().environments[client].state != abi.State.FREE:
            schedule.join(clients, client, client)
    schedule.serve(clients)
    print("served", u64(clients.count))
