# SPDX-License-Identifier: MIT
"""A client of the scheduler: counts while its turns last, from a tenth of a second after the machine's start on, for TURNS
slices, and says how far it came. Nobody else runs then.
"""

from exokernel.exos import aegis, schedule
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import u64

TURNS = 600


def main() -> None:
    system = aegis.system_page()
    schedule.give_up(0)
    start = system.timestamp_frequency // 10
    while read_timestamp() < start:
        pass
    end = start + TURNS * (system.slice_ticks * system.timestamp_frequency // 1_000_000_000)
    count: u64 = 0
    while read_timestamp() < end:
        count += 1
    print("client", aegis.environment_page().identifier, count)
