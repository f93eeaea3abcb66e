# SPDX-License-Identifier: MIT
"""Makes every harmless call with a stack pointer in the kernel."""

from exokernel.aegis.abi import Call
from exokernel.metal import asm, naked, u64

STACK = 0xFFFFFFFF80300000


@naked
def null_with_stack(stack: u64, number: u64) -> u64:
    """Makes a call on another stack; 0 if the stack pointer was preserved."""
    asm("""
        mov rdx, rsp
        mov rsp, rdi
        mov eax, esi
        mov r8, rdi
        syscall
        sub rsp, r8
        mov rax, rsp
        mov rsp, rdx
        ret
    """)


def main() -> u64:
    wrong: u64 = 0
    for _ in range(100):
        wrong |= null_with_stack(STACK, Call.NULL)
        wrong |= null_with_stack(STACK, Call.FRAME_CLAIM)
        wrong |= null_with_stack(STACK, 255)
    return u64(wrong != 0)
