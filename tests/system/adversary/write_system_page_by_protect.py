# SPDX-License-Identifier: MIT
"""Makes the kernel's exported page writable, then writes to it."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis
from exokernel.metal import Ptr, u64, volatile_store

ENDS = (14,)


def main() -> None:
    aegis.tlb_protect(abi.SYSTEM_ADDRESS // abi.PAGE_BYTES, 1, Right.WRITE)
    volatile_store(Ptr[u64](abi.SYSTEM_ADDRESS), 0)
