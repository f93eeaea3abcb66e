# SPDX-License-Identifier: MIT
"""Stores a prologue where nothing of its own can be."""

from exokernel.aegis import abi
from exokernel.machine.cpu import read_timestamp

ENDS = (14,)


def main() -> None:
    abi.environment_page().slice_start_entry = 0xFFFFFFFF
    until = read_timestamp() + abi.system_page().timestamp_frequency // 10
    while read_timestamp() < until:
        pass
