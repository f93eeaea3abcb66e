# SPDX-License-Identifier: MIT
"""Asks the kernel to write received frames over the kernel, its own code and pages that it may only read."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Call
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    got: u64 = 0
    for i in range(512):
        got += u64(aegis.call1(Call.NETWORK_BIND, 0xFFFFFFFF80200000 + i * 4096) >= 0)
        got += u64(aegis.call1(Call.NETWORK_BIND, abi.IMAGE_ADDRESS + i * 4096) >= 0)
        got += u64(aegis.call1(Call.NETWORK_BIND, abi.SYSTEM_ADDRESS + i) >= 0)
        got += u64(aegis.call1(Call.NETWORK_BIND, abi.USER_LIMIT - i * 4096) >= 0)
        got += u64(aegis.filter_bind(0xFFFFFFFF80200000 + i * 4096, abi.STACK_TOP - 256, 0, abi.ANY) >= 0)
        got += u64(aegis.filter_bind(abi.IMAGE_ADDRESS + i * 4096, abi.STACK_TOP - 256, 0, abi.ANY) >= 0)
        got += u64(aegis.capture_bind(0xFFFFFFFF80200000 + i * 4096, i) >= 0)
    return got
