# SPDX-License-Identifier: MIT
"""Has an epilogue that computes instead of yielding, for a tenth of a second."""

from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import noreturn, u32, u64


def main() -> None:
    aegis.environment_page().slice_end_entry = u32(u64(stay))
    stay()


@noreturn
def stay() -> None:
    """Goes on as if its slice had not ended."""
    until = read_timestamp() + aegis.system_page().timestamp_frequency // 10
    while read_timestamp() < until:
        pass
    aegis.exit(0)
