# SPDX-License-Identifier: MIT
"""Stores a prologue where nothing of its own can be."""

from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp

ENDS = (14,)


def main() -> None:
    aegis.environment_page().slice_start_entry = 0xFFFFFFFF
    until = read_timestamp() + aegis.system_page().timestamp_frequency // 10
    while read_timestamp() < until:
        pass
