# SPDX-License-Identifier: MIT
"""Transfers to environments that do not exist, to itself and to numbers that are none."""

from exokernel.aegis.abi import Error
from exokernel.exos import aegis
from exokernel.metal import u64

message: aegis.Message = aegis.Message()


def main() -> u64:
    page = aegis.environment_page()
    page.transfer_entry = 0x400000
    page.transfer_asynchronous_entry = 0x400000
    got: u64 = 0
    for number in range(60, 256):
        got += u64(aegis.transfer(number, message) != Error.NOT_RUNNABLE)
        got += u64(aegis.transfer_asynchronous(number, message) != Error.NOT_RUNNABLE)
    got += u64(aegis.transfer(page.identifier, message) >= 0)
    return got
