# SPDX-License-Identifier: MIT
"""Tries to map every frame of the machine: only its own may be had."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import u64

SANDBOX = 0x10000000 // abi.PAGE_BYTES  # here nothing is mapped


def main() -> u64:
    own = u64(aegis.system_page().environments[aegis.environment_page().identifier].frames)
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    mapped: u64 = 0
    for frame in range(aegis.system_page().frames + 4096):
        mapped += u64(aegis.tlb_insert(SANDBOX, frame, Right.WRITE) == 0)
    return u64(mapped > own)
