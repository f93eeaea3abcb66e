# SPDX-License-Identifier: MIT
"""Transfers to every environment there is, again and again: company for those whose attack is in their entries."""

from exokernel.aegis import abi
from exokernel.machine.cpu import read_timestamp

message: abi.Message = abi.Message()


def main() -> None:
    until = read_timestamp() + abi.system_page().timestamp_frequency // 10
    while read_timestamp() < until:
        for number in range(abi.ENVIRONMENTS):
            if number != abi.environment_page().identifier:
                abi.transfer(number, message)
                abi.transfer_asynchronous(number, message)
        abi.yield_to(abi.ANY_ENVIRONMENT)
