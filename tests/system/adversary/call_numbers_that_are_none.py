# SPDX-License-Identifier: MIT
"""Makes calls by all numbers that are none, with anything in the upper bits."""

from typing import Final

from exokernel.aegis.abi import Call, Error
from exokernel.exos import aegis
from exokernel.metal import Array, u8, u64

NUMBERS = {int(call) for call in Call}
unused: Final[Array[u8, 256]] = Array[u8, 256]([int(number not in NUMBERS) for number in range(256)])


def main() -> u64:
    wrong: u64 = 0
    for number in range(256):
        if unused[number] != 0:
            for shift in range(8, 64):
                wrong += u64(aegis.call3(number | u64(1) << shift, shift, shift, shift) != Error.NO_CALL)
    return wrong
