# SPDX-License-Identifier: MIT
"""How a thread, or an environment, finds out whether its registers are left alone."""

from exokernel.metal import asm, naked, u64


@naked
def registers_kept(base: u64, turns: u64) -> u64:
    """Fills every register with a number of its own and sets the carry flag, counts down `turns`, then compares: 0 if none
    has changed.
    """
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov rax, rsi
        lea rcx, [rdi + 1]
        lea rdx, [rdi + 2]
        lea rbx, [rdi + 3]
        lea rbp, [rdi + 4]
        lea rsi, [rdi + 5]
        lea r8, [rdi + 6]
        lea r9, [rdi + 7]
        lea r10, [rdi + 8]
        lea r11, [rdi + 9]
        lea r12, [rdi + 10]
        lea r13, [rdi + 11]
        lea r14, [rdi + 12]
        lea r15, [rdi + 13]
        stc
    2:
        dec rax
        jnz 2b
        jnc 3f
        sub rcx, rdi
        sub rdx, rdi
        sub rbx, rdi
        sub rbp, rdi
        sub rsi, rdi
        sub r8, rdi
        sub r9, rdi
        sub r10, rdi
        sub r11, rdi
        sub r12, rdi
        sub r13, rdi
        sub r14, rdi
        sub r15, rdi
        xor rcx, 1
        xor rdx, 2
        xor rbx, 3
        xor rbp, 4
        xor rsi, 5
        xor r8, 6
        xor r9, 7
        xor r10, 8
        xor r11, 9
        xor r12, 10
        xor r13, 11
        xor r14, 12
        xor r15, 13
        mov rax, rcx
        or rax, rdx
        or rax, rbx
        or rax, rbp
        or rax, rsi
        or rax, r8
        or rax, r9
        or rax, r10
        or rax, r11
        or rax, r12
        or rax, r13
        or rax, r14
        or rax, r15
        jmp 4f
    3:
        mov eax, 1
    4:
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    """)
