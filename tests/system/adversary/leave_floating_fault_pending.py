# SPDX-License-Identifier: MIT
"""Leaves an unmasked floating-point exception pending while others run: whoever meets it must be itself."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import Array, addr, asm, u16, u64

ENDS = (16,)
control: Array[u16, 4] = Array[u16, 4]()


def main() -> None:
    aegis.floating_point(1)
    control[0] = 0x360
    asm("fninit; fldcw [rcx]; fld1; fldz; fdivp", "{rcx},~{memory}", u64(addr(control)))
    for _ in range(100):
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    asm("fwait", "~{memory}")
