# SPDX-License-Identifier: MIT
"""Loads a secret into every register, again and again, and yields: the counterpart of read_registers_of_others."""

from exokernel.aegis import abi
from exokernel.metal import asm, naked, u64

SECRET = 0x5EC2E75EC2E75EC2
ANY = abi.ANY_ENVIRONMENT
YIELD = int(abi.Call.YIELD_TO)


@naked
def leave(turns: u64) -> None:
    """Calls `yield_to` and computes, everywhere the secret."""
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        push rdi
    2:
        mov rbx, {SECRET}
        mov rcx, rbx
        mov rdx, rbx
        mov rsi, rbx
        mov rbp, rbx
        mov r8, rbx
        mov r9, rbx
        mov r10, rbx
        mov r11, rbx
        mov r12, rbx
        mov r13, rbx
        mov r14, rbx
        mov r15, rbx
        mov edi, {ANY}
        mov eax, {YIELD}
        syscall
        dec qword ptr [rsp]
        jnz 2b
        pop rdi
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    """)


def main() -> None:
    leave(3000)
