# SPDX-License-Identifier: MIT
"""Transfers to every environment there is, again and again: company for those whose attack is in their entries."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp

message: aegis.Message = aegis.Message()


def main() -> None:
    until = read_timestamp() + aegis.system_page().timestamp_frequency // 10
    while read_timestamp() < until:
        for number in range(abi.ENVIRONMENTS):
            if number != aegis.environment_page().identifier:
                aegis.transfer(number, message)
                aegis.transfer_asynchronous(number, message)
        aegis.yield_to(abi.ANY_ENVIRONMENT)
