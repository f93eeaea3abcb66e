# SPDX-License-Identifier: MIT
"""Asks for a page that is writable and executable, in every way there is."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import u64

SANDBOX = 0x10000000 // abi.PAGE_BYTES  # here nothing is mapped


def main() -> u64:
    frame = u64(aegis.frame_claim(abi.ANY))
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    got: u64 = 0
    for rights in range(4096):
        both = rights & (Right.WRITE | Right.EXECUTE) == Right.WRITE | Right.EXECUTE
        got += u64(both and aegis.tlb_insert(SANDBOX, frame, rights) >= 0)
    return got
