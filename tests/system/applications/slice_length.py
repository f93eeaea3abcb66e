# SPDX-License-Identifier: MIT
"""How long a slice is, said and measured: two environments compute, the first looks when it is interrupted."""

from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import u64

GAPS = 40


def main() -> None:
    page = aegis.system_page()
    while aegis.environment_page().identifier != 0:
        pass
    length = page.slice_ticks * page.timestamp_frequency // 1_000_000_000
    shortest: u64 = 1 << 63
    found: u64 = 0
    before = read_timestamp()
    while found < GAPS:
        now = read_timestamp()
        if now - before > length // 2:  # the other's slice, or one of the host's doings
            shortest = min(shortest, now - before)
            found += 1
        before = now
    print(page.slice_ticks, "ticks, as long", shortest < 2 * length)
