# SPDX-License-Identifier: MIT
"""Writes entries into a frame that it has mapped, then donates it as a table node."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import Ptr, u64

SANDBOX = 0x10000000 // abi.PAGE_BYTES  # here nothing is mapped


def main() -> u64:
    frame = u64(aegis.frame_claim(abi.ANY))
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    if aegis.tlb_insert(SANDBOX, frame, Right.WRITE) != 0:
        return 1
    Ptr[u64](SANDBOX * abi.PAGE_BYTES)[0] = 7
    return u64(aegis.tlb_node(SANDBOX + 512, frame) != Error.NOT_OWNER)
