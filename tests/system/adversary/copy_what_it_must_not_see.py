# SPDX-License-Identifier: MIT
"""Claims copies of pages that are not mapped, not any more, or the kernel's; and of one of its own, which is no other."""

from typing import Final

from family import SANDBOX, claim_mapped, prepare_sandbox

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import Array, Ptr, u64

PAGES: Final[Array[u64, 14]] = Array[u64, 14]([
    0, abi.USER_LIMIT >> 12, (abi.USER_LIMIT >> 12) + 1, 0x3FC00, 0x3FDFC, 0x3FDFD, 0x3FE00, 0x3FFFC, 0x80400, 1 << 36,
    0xFFFFFFFF80200, 0xFFFF800000200, (1 << 52) + 0x400, abi.ANY,
])  # fmt: skip


def main() -> u64:
    prepare_sandbox()
    got: u64 = 0
    for page in PAGES:
        got += u64(aegis.frame_claim_copy(page) >= 0)
    got += u64(aegis.frame_claim_copy(SANDBOX) != Error.BAD_ADDRESS)
    frame = claim_mapped(SANDBOX)
    Ptr[u64](SANDBOX * abi.PAGE_BYTES)[0] = 42
    copied = u64(aegis.frame_claim_copy(SANDBOX))
    got += u64(copied == frame or aegis.tlb_insert(SANDBOX + 1, copied, Right.WRITE) != 0)
    got += u64(Ptr[u64]((SANDBOX + 1) * abi.PAGE_BYTES)[0] != 42)
    Ptr[u64]((SANDBOX + 1) * abi.PAGE_BYTES)[0] = 43
    got += u64(Ptr[u64](SANDBOX * abi.PAGE_BYTES)[0] != 42)
    aegis.frame_release(frame)
    got += u64(aegis.frame_claim_copy(SANDBOX) != Error.BAD_ADDRESS)
    return got
