# SPDX-License-Identifier: MIT
"""Makes environments of frames whose numbers stand in the kernel's memory, beyond its own, or half in either."""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Call, Error
from exokernel.exos import aegis
from exokernel.metal import Array, u64

ADDRESSES: Final[Array[u64, 10]] = Array[u64, 10]([
    0, 8, abi.USER_LIMIT - 80, abi.USER_LIMIT, abi.ENTRIES_ADDRESS, 0x7FFFFFFFFFF8, 0x800000000000, 0xFFFF800000200000,
    0xFFFFFFFF80200000, 0xFFFFFFFFFFFFFFF8,
])  # fmt: skip


def main() -> u64:
    got: u64 = 0
    for address in ADDRESSES:
        got += u64(aegis.call3(Call.ENVIRONMENT_CREATE, 0, abi.ANY, address) != Error.BAD_ADDRESS)
    return got
