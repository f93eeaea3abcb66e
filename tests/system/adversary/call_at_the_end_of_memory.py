# SPDX-License-Identifier: MIT
"""Makes a call with its last two bytes of memory: the return address is the first that it cannot have."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Call, Right
from exokernel.exos import aegis
from exokernel.metal import Ptr, asm, u16, u64

ENDS = (14,)


def main() -> u64:
    page: u64 = abi.USER_LIMIT // abi.PAGE_BYTES - 1
    frame = u64(aegis.frame_claim(abi.ANY))
    aegis.tlb_node(page, u64(aegis.frame_claim(abi.ANY)))
    aegis.tlb_insert(page, frame, Right.WRITE)
    Ptr[u16](abi.USER_LIMIT - 2)[0] = 0x050F  # `syscall`
    aegis.tlb_insert(page, frame, Right.EXECUTE)
    asm("jmp rcx", "{rax},{rcx},~{r11},~{memory}", u64(Call.NULL), u64(abi.USER_LIMIT - 2))
    return 1
