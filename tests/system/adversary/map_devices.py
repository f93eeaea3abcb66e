# SPDX-License-Identifier: MIT
"""Tries to map the interrupt controllers and the network device."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import u64

SANDBOX = 0x10000000 // abi.PAGE_BYTES  # here nothing is mapped


def main() -> u64:
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    got: u64 = 0
    for frame in range(0xFEB00, 0xFF000):
        got += u64(aegis.tlb_insert(SANDBOX, frame, Right.WRITE) >= 0)
    return got
