# SPDX-License-Identifier: MIT
"""Reads, writes and calls the kernel's pages above the application's memory: the table nodes that it may see, but not
write, and the pages behind them, in both places.
"""

from exokernel.aegis import abi
from exokernel.exos import exceptions
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Ptr, asm, u8, u64, volatile_load, volatile_store

WINDOW = 0x3FC00000
NODES = 512
OWN = 508
faults: u64 = 0


def count(registers: Registers) -> u8:
    global faults
    faults += 1
    return Verdict.SKIP


def main() -> u64:
    exceptions.handle(14, count)
    tried: u64 = 0
    for i in range(u64(NODES)):
        for base in range(u64(2)):
            page = Ptr[u64]((WINDOW if base == 0 else u64(abi.ENTRIES_ADDRESS)) + i * abi.PAGE_BYTES)
            if base == 0 or i >= OWN:
                volatile_load(page)
                tried += 1
            volatile_store(page, 7)
            asm("call rax", "{rax},~{memory},~{flags}", u64(page))
            tried += 2
    for address in range(u64(abi.USER_LIMIT), u64(WINDOW), u64(abi.PAGE_BYTES * 64)):
        volatile_load(Ptr[u64](address))
        tried += 1
    return tried - faults
