# SPDX-License-Identifier: MIT
"""Unmaps the page into which exceptions are pushed, then makes one."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import asm

ENDS = (6,)


def main() -> None:
    aegis.tlb_insert(abi.ENVIRONMENT_ADDRESS // abi.PAGE_BYTES, 0, 0)
    asm("ud2", "~{memory}")
