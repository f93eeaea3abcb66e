# SPDX-License-Identifier: MIT
"""Asks the kernel to send its own memory over the network, or to lend it to the device, and pages of everybody's."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    got: u64 = 0
    for i in range(256):
        got += u64(aegis.network_transmit(0xFFFFFFFF80200000 + i * 4096, 1000) >= 0)
        got += u64(aegis.network_transmit(abi.STACK_TOP - 8, 14 + i) >= 0)
        got += u64(aegis.network_send(0xFFFFFFFF80200000 + i * 2048, 1) >= 0)
        got += u64(aegis.network_send(0xFFFF800000200000 + i * 2048, 16) >= 0)
        got += u64(aegis.network_send(abi.IMAGE_ADDRESS, 1 + i) >= 0)
        got += u64(aegis.network_send(abi.SYSTEM_ADDRESS, 1) >= 0)
        got += u64(aegis.network_send(abi.FRAMES_ADDRESS + i * 2048, 1) >= 0)
        got += u64(aegis.network_send(abi.USER_LIMIT - 2048, 2 + i) >= 0)
    return got
