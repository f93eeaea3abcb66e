# SPDX-License-Identifier: MIT
"""Claims every slice, and keeps them for a while."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import u64


def main() -> u64:
    answer = aegis.slice_claim(abi.ANY)
    while answer >= 0:
        answer = aegis.slice_claim(abi.ANY)
    until = read_timestamp() + aegis.system_page().timestamp_frequency // 2
    while read_timestamp() < until:
        pass
    return u64(answer != Error.NO_SLICES)
