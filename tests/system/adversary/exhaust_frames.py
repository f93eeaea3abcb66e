# SPDX-License-Identifier: MIT
"""Claims every frame, makes nodes of some, and checks that none shows anything."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import Ptr, u64, volatile_load


def main() -> u64:
    page: u64 = 0x10000000 // abi.PAGE_BYTES
    aegis.tlb_node(page, u64(aegis.frame_claim(abi.ANY)))
    seen: u64 = 0
    while True:
        frame = aegis.frame_claim(abi.ANY)
        if frame < 0:
            return seen + u64(frame != Error.NO_FRAMES)
        aegis.tlb_insert(page, u64(frame), Right.READ)
        for i in range(abi.PAGE_BYTES // 8):
            seen += u64(volatile_load(Ptr[u64](page * abi.PAGE_BYTES) + i) != 0)
        aegis.tlb_insert(page, 0, Right.NONE)
        if frame & 15 == 0:
            aegis.tlb_node(page + 512 * (u64(frame) >> 4 & 255), u64(frame))
