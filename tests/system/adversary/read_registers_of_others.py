# SPDX-License-Identifier: MIT
"""Looks for another's secret in all registers after each yield."""

from exokernel.aegis import abi
from exokernel.metal import Array, asm, naked, u64

SECRET = 0x5EC2E75EC2E75EC2
MASK = 0x123456789ABCDEF
ANY = abi.ANY_ENVIRONMENT
YIELD = int(abi.Call.YIELD_TO)
seen: Array[u64, 14] = Array[u64, 14]()


@naked
def look() -> u64:
    """Yields with clear registers; how many then hold the secret."""
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov edi, {ANY}
        mov eax, {YIELD}
        xor ebx, ebx
        xor ebp, ebp
        xor r12d, r12d
        xor r13d, r13d
        xor r14d, r14d
        xor r15d, r15d
        syscall
        mov qword ptr [{seen}], rbx
        mov qword ptr [{seen} + 8], rcx
        mov qword ptr [{seen} + 16], rdx
        mov qword ptr [{seen} + 24], rsi
        mov qword ptr [{seen} + 32], rdi
        mov qword ptr [{seen} + 40], rbp
        mov qword ptr [{seen} + 48], r8
        mov qword ptr [{seen} + 56], r9
        mov qword ptr [{seen} + 64], r10
        mov qword ptr [{seen} + 72], r11
        mov qword ptr [{seen} + 80], r12
        mov qword ptr [{seen} + 88], r13
        mov qword ptr [{seen} + 96], r14
        mov qword ptr [{seen} + 104], r15
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    """)


def main() -> u64:
    found: u64 = 0
    for _ in range(3000):
        look()
        for value in seen:
            found += u64(value ^ MASK == SECRET ^ MASK)
    return found
