# SPDX-License-Identifier: MIT
"""Keeps its hoard mapped while it is revoked: maps what it lost again, by the numbers that it is told and by those that
it had, and writes to what it can.
"""

from family import HOARD, SANDBOX, await_order, hoard, hoarded, later, prepare_sandbox

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Ptr, u64, volatile_store

REVOKED = True


def main() -> u64:
    prepare_sandbox()
    hoard()
    page = aegis.environment_page()
    own = page.identifier
    for i in range(HOARD):
        aegis.tlb_insert(SANDBOX + i, hoarded[i], Right.WRITE)
    await_order()
    got: u64 = 0
    until = later(1500)
    while read_timestamp() < until:
        for i in range(HOARD):
            mapped = aegis.tlb_insert(SANDBOX + i, hoarded[i], Right.WRITE) == 0
            got += u64(mapped and aegis.frame_entry(hoarded[i]).owner != own and page.lost_count == 0)
        for name in page.lost:
            aegis.tlb_insert(SANDBOX + HOARD, name & 0xFFFFFFFF, Right.WRITE)
    for i in range(HOARD):
        entry = aegis.table_entry(SANDBOX + i)
        got += u64(entry.present and aegis.frame_entry(entry.frame).owner != own)
        if entry.present:
            volatile_store(Ptr[u64]((SANDBOX + i) * abi.PAGE_BYTES), i)
    return got + u64(page.lost_count < 100)
