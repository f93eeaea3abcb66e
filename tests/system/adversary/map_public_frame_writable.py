# SPDX-License-Identifier: MIT
"""Maps every frame of the bundle, and of the table of handlers, with each right that includes writing: alone, over a mapping
that is there, in a batch, and as a large page.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.aegis.handler_abi import HandlerTable
from exokernel.exos import aegis
from exokernel.metal import Array, sizeof, u64

SANDBOX = 0x10000000 // abi.PAGE_BYTES
numbers: Array[u64, 1] = Array[u64, 1]()


def attack(first: u64, count: u64) -> u64:
    got: u64 = 0
    for frame in range(first, first + count):
        for rights in range(256):
            if rights & Right.WRITE:
                got += u64(aegis.tlb_insert(SANDBOX, frame, rights) >= 0)
        got += u64(aegis.tlb_insert(SANDBOX, frame, Right.READ) < 0)
        got += u64(aegis.tlb_insert(SANDBOX, frame, Right.WRITE) >= 0)
        got += u64(aegis.table_entry(SANDBOX).writable)
        numbers[0] = frame
        got += u64(aegis.tlb_insert_batch(SANDBOX + 1, numbers[:], Right.WRITE) >= 0)
        if frame % abi.LARGE_PAGES == 0:
            got += u64(aegis.tlb_insert_large(SANDBOX + abi.LARGE_PAGES, frame, Right.READ) >= 0)
    return got


def main() -> u64:
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    system = aegis.system_page()
    table = attack(system.handlers_frame, sizeof(HandlerTable) // abi.PAGE_BYTES)
    return table + attack(system.bundle_frame, system.bundle_frames)
