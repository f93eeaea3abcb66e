# SPDX-License-Identifier: MIT
"""Computes without end, for a tenth of a second."""

from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp


def main() -> None:
    until = read_timestamp() + aegis.system_page().timestamp_frequency // 10
    while read_timestamp() < until:
        pass
