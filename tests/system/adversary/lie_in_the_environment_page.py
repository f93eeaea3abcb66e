# SPDX-License-Identifier: MIT
"""Fills the environment page of a child with each of some values, so that every entry, event, identifier and count in it is
that, and starts it where nothing is.
"""

from typing import Final

from family import (
    PAGE_PART,
    SANDBOX,
    claim_mapped,
    claim_parts,
    create_of_parts,
    ends_otherwise,
    parts,
    prepare_sandbox,
)

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import Array, Ptr, u64

VALUES: Final[Array[u64, 7]] = Array[u64, 7]([
    0xFFFFFFFFFFFFFFFF, 0x8000000080000000, 0x4000000040000000, 0x3FDFC0003FDFC000, 0x0000000100000001,
    0xFFFFFFFF80200000, 0x8040000080400000,
])  # fmt: skip


def main() -> u64:
    prepare_sandbox()
    got: u64 = 0
    for value in VALUES:
        claim_parts()
        aegis.frame_release(parts[PAGE_PART])
        parts[PAGE_PART] = claim_mapped(SANDBOX)
        for i in range(abi.PAGE_BYTES // 8):
            (Ptr[u64](SANDBOX * abi.PAGE_BYTES) + i)[0] = value
        number = create_of_parts(0)
        aegis.slice_give(u64(aegis.slice_claim(abi.ANY)), number)
        got += u64(aegis.environment_start(0, value & 0x3F7FFFF0, value) != 0)
        got += ends_otherwise(number, 128 + 14)
        aegis.unbind(0)
    return got
