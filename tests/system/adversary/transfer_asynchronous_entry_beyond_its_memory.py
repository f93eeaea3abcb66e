# SPDX-License-Identifier: MIT
"""Stores an entry for asynchronous transfers where nothing of its own can be, and waits to be called."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp

ENDS = (14,)


def main() -> None:
    aegis.environment_page().transfer_asynchronous_entry = 0xFFFFFFFF
    until = read_timestamp() + aegis.system_page().timestamp_frequency
    while read_timestamp() < until:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
