# SPDX-License-Identifier: MIT
"""Donates a table node, then maps it as memory to write entries of its own."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import u64

SANDBOX = 0x10000000 // abi.PAGE_BYTES  # here nothing is mapped


def main() -> u64:
    node = u64(aegis.frame_claim(abi.ANY))
    if aegis.tlb_node(SANDBOX, node) != 0:
        return 1
    return u64(aegis.tlb_insert(SANDBOX, node, Right.WRITE) == 0) + 2 * u64(
        aegis.tlb_insert(SANDBOX, node, Right.READ) == 0
    )
