# SPDX-License-Identifier: MIT
"""Computes for some slices with a stack pointer in the kernel: interrupts must not use it."""

from exokernel.metal import asm, naked, u64


@naked
def spin(turns: u64, stack: u64) -> u64:
    """Counts down on another stack; 0 if the stack pointer is as it was."""
    asm("""
        mov r10, rsp
        mov rsp, rsi
    2:
        dec rdi
        jnz 2b
        sub rsp, rsi
        mov rax, rsp
        mov rsp, r10
        ret
    """)


def main() -> u64:
    return spin(20_000_000, 0xFFFFFFFF80300000)
