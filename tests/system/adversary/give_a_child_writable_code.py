# SPDX-License-Identifier: MIT
"""Gives and shares pages with all rights; none becomes writable and executable in the child, which jumps into one that it
can write to.
"""

from family import ALL, OWN_SLOTS, SANDBOX, claim, claim_mapped, ends_otherwise, make, prepare_sandbox, start

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import Array, Ptr, addr, asm, naked, u64, volatile_load, volatile_store

words: Array[u64, 4] = Array[u64, 4]()
TARGET = (SANDBOX + 1) * abi.PAGE_BYTES


@naked
def jump() -> None:
    """Into the page that was just written."""
    asm("""
        mov eax, {TARGET}
        jmp rax
    """)


def child() -> None:
    for page in range(SANDBOX, SANDBOX + 8):
        entry = aegis.table_entry(page)
        if entry.present and entry.writable and not entry.no_execute:
            volatile_store(addr(words[0]), words[0] + 1)
    for rights in range(256):
        if rights & 6 == 6 and aegis.tlb_insert_bound(SANDBOX + 1, OWN_SLOTS, rights) >= 0:
            volatile_store(addr(words[0]), words[0] + 1)
    volatile_store(Ptr[u64](TARGET), 0x050F00000002B8)  # mov eax, EXIT; syscall
    jump()


def main() -> u64:
    prepare_sandbox()
    number = make(0)
    got: u64 = 0
    for rights in range(256):
        if rights & 6 == 6:
            got += u64(aegis.environment_give(0, SANDBOX, claim(), rights) >= 0)
    claim_mapped(SANDBOX + 1)
    got += u64(aegis.environment_share(0, SANDBOX + 1, 1, OWN_SLOTS, ALL) != 1)
    got += u64(start(0, u64(child), 0) != 0)
    got += ends_otherwise(number, 128 + 14)
    return got + volatile_load(addr(words[0])) + u64(Right.WRITE != 2)
