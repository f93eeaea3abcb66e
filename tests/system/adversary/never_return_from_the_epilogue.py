# SPDX-License-Identifier: MIT
"""Has an epilogue that computes instead of yielding, for a tenth of a second."""

from exokernel.aegis import abi
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import noreturn, u32, u64


def main() -> None:
    abi.environment_page().slice_end_entry = u32(u64(stay))
    stay()


@noreturn
def stay() -> None:
    """Goes on as if its slice had not ended."""
    until = read_timestamp() + abi.system_page().timestamp_frequency // 10
    while read_timestamp() < until:
        pass
    abi.exit(0)
