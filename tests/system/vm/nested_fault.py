# SPDX-License-Identifier: MIT
"""A region's function that touches memory which nobody brings: the kernel's report is about that."""

from exokernel.aegis.abi import Right
from exokernel.exos import vm
from exokernel.metal import Ptr, u64, volatile_store

FIRST = 0x20000


def careless(address: u64, error: u64) -> bool:
    print("in the handler")
    volatile_store(Ptr[u64](0x30001230), 1)
    return True


def main() -> None:
    vm.reserve(FIRST, 1, Right.WRITE, vm.Flag.NESTING, careless)
    volatile_store(Ptr[u64](FIRST * 4096), 1)
    print("not reached")
