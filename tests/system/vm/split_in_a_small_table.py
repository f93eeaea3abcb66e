# SPDX-License-Identifier: MIT
"""A large page became 512 entries while the hashed table had room for fewer, and looking for a place never ended."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import inverted, vm  # noqa: F401
from exokernel.metal import i32, u64

LARGE = 0x20000


def main() -> i32:
    error = vm.reserve(LARGE, abi.LARGE_PAGES, Right.WRITE, 0, vm.refuse)
    if error != 0 or vm.map_large(LARGE, Right.WRITE) != 0 or vm.protect(LARGE + 3, 1, Right.READ) != 0:
        return 1
    count: u64 = 0
    for page in range(LARGE, LARGE + abi.LARGE_PAGES):
        count += u64(vm.entry_of(u64(page)).kind == vm.Kind.OWN)
    return 0 if count == abi.LARGE_PAGES else 2
