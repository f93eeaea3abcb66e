# SPDX-License-Identifier: MIT
"""Six threads, each with all registers and the carry flag filled with a pattern of its own, compute without ever giving
the processor away. Prints how many found something changed, and how often another thread had run meanwhile.
"""

from exokernel.exos import thread
from exokernel.metal import Array, addr, asm, naked, u64, volatile_load

THREADS = 6
ROUNDS = 60
TURNS = 50_000

last: u64 = THREADS
turns: u64 = 0


@naked
def registers_kept(base: u64) -> u64:
    """Fills every register with a number of its own and sets the carry flag, counts down TURNS, then compares: 0 if none
    has changed.
    """
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
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
        mov eax, {TURNS}
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


def compute(number: u64) -> u64:
    global last, turns
    changed: u64 = 0
    for _ in range(ROUNDS):
        changed += u64(registers_kept((number + 1) << 32) != 0)
        if volatile_load(addr(last)) != number:
            turns += 1
            last = number
    return changed


def main() -> None:
    handles: Array[u64, THREADS] = Array[u64, THREADS]()
    for i in range(THREADS):
        handles[i] = u64(thread.create(compute, i, 1))
    changed: u64 = 0
    for handle in handles:
        changed += thread.join(handle)
    print("changed", changed, "turns", turns)
