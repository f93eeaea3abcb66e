# SPDX-License-Identifier: MIT
"""Passes every call every combination of arguments that name nothing of its own."""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Call
from exokernel.exos import aegis
from exokernel.metal import Array, asm, i64, naked, u8, u32, u64

LEFT_OUT = {Call.EXIT, Call.WAIT, Call.EXCEPTION_RETURN}  # these do what they are asked
CALLS = [call for call in Call if call not in LEFT_OUT]
numbers: Final[Array[u8, len(CALLS)]] = Array[u8, len(CALLS)](CALLS)
VALUES: Final[Array[u64, 8]] = Array[u64, 8]([
    abi.USER_LIMIT, 0x40000000 + 1, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFF800000200000, 0xFFFFFFFF80200000,
    0xFFFFFFFFFFFFF000, 0xFFFFFFFFFFFFFFFE,
])  # fmt: skip
stack: u64 = 0


def main() -> u64:
    aegis.environment_page().transfer_return_entry = u32(u64(answered))
    wrong: u64 = 0
    for number in numbers:
        for first in VALUES:
            for second in VALUES:
                for third in VALUES:
                    result = call(number, first, second, third)
                    wrong += u64(result < -64)
    return wrong


@naked
def call(number: u64, first: u64, second: u64, third: u64) -> i64:
    """Any call; what it destroys is restored."""
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov rax, rdi
        mov rdi, rsi
        mov rsi, rdx
        mov rdx, rcx
        mov r8, rcx
        mov qword ptr [{stack}], rsp
        syscall
        jmp {answered}
    """)


@naked
def answered() -> None:
    """Behind a call, and where the answer of a transfer arrives, of which the low 8 bits name somebody."""
    asm("""
        mov rsp, qword ptr [{stack}]
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    """)
