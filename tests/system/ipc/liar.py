# SPDX-License-Identifier: MIT
"""Registers between those who do not trust each other. Environment 1 answers calls with nonsense in every register, its
stack pointer too; 2 answers with what it saw in the registers that carry no argument; 3 serves as it should, but leaves
something behind. Environment 0 says what is wrong.
"""

from stage import expect

from exokernel.aegis import abi
from exokernel.aegis.abi import Call, Error  # noqa: F401  (in assembly)
from exokernel.exos import aegis, rpc, shared
from exokernel.metal import asm, i64, naked, noinline, u32, u64

ROUNDS = 3000


@rpc.interface(1)
class Private:
    """With secrets."""

    def nothing(self) -> tuple[u64, i64]: ...
    def one(self, a: u64) -> tuple[u64, i64]: ...


@rpc.interface(3, rpc.LRPC)
class Plain:
    """Without."""

    def nothing(self) -> tuple[u64, i64]: ...


@rpc.interface(4, rpc.TLRPC)
class Trusted:
    """Inlined."""

    def nothing(self) -> tuple[u64, i64]: ...


@naked
def lie() -> None:
    asm("""
        rdtsc
        imul rax, rax, 0x5851F42D
        mov rbx, rax
        imul rbx, rbx, 0x4C957F2D
        mov rdx, rbx
        not rdx
        mov rsi, rbx
        mov rdi, rdx
        mov rbp, rbx
        mov rsp, rdx
        mov r8, rbx
        mov r9, rdx
        mov r10, rbx
        mov r12, rdx
        mov r13, rbx
        mov r14, rdx
        mov r15, rbx
        mov eax, {Call.TRANSFER_BACK}
        syscall
        ud2
    """)


@naked
def spy() -> None:
    """All that is no argument of `nothing`, in one word."""
    asm("""
        or rsi, rdx
        or rsi, r8
        or rsi, r9
        or rsi, r10
        or rsi, rbp
        or rsi, r12
        or rsi, r13
        or rsi, r14
        or rsi, r15
        mov eax, {Call.TRANSFER_BACK}
        syscall
        ud2
    """)


def leave_something(caller: u64) -> u64:
    asm("mov r8, 81; mov r9, 82; mov r10, 83; mov rdi, 84", "~{r8},~{r9},~{r10},~{rdi}")
    return 42


def one(caller: u64, a: u64) -> u64:
    return leave_something(caller) + a


rpc.implement(Private, leave_something, one)
rpc.implement(Plain, leave_something)


@noinline
def call_private(server: u64) -> u64:
    """So that assembly can call it; it changes no other register."""
    result, _error = Private(server).nothing()
    return result


@noinline
def call_plain(server: u64) -> u64:
    result, _error = Plain(server).nothing()
    return result


@naked
def left_by_private(server: u64) -> u64:
    """What is in registers behind the stub that is no result."""
    asm("""
        call {call_private}
        mov rax, rdi
        or rax, r8
        or rax, r9
        or rax, r10
        ret
    """)


@naked
def left_by_plain(server: u64) -> u64:
    asm("""
        call {call_plain}
        mov rax, r8
        or rax, r9
        or rax, r10
        ret
    """)


@naked
def with_secrets(server: u64) -> u64:
    """A call from where every register holds something."""
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov ebx, 1
        mov ebp, 2
        mov r12d, 4
        mov r13d, 8
        mov r14d, 16
        mov r15d, 32
        mov edx, 64
        mov esi, 128
        mov r8d, 256
        mov r9d, 512
        mov r10d, 1024
        call {call_private}
        cmp r15d, 32
        jne 2f
        cmp ebx, 1
        je 3f
    2:
        mov rax, -1
    3:
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    """)


@noinline
def survive(liar: u64) -> None:
    """Many values are alive over each call."""
    a: u64 = 1
    b: u64 = 2
    c: u64 = 3
    d: u64 = 4
    e: u64 = 5
    f: u64 = 6
    g: u64 = 7
    for i in range(ROUNDS):
        result, error = Private(liar).one(a)
        a += 1
        b += result & 0
        result, error = Plain(liar).nothing()
        c += 1
        d += u64(error) & 0
        result, error = Trusted(liar).nothing()
        e += 1
        f += result & 0
        g += 1
        expect("alive", a == i + 2 and b == 2 and c == i + 4 and d == 4 and e == i + 6 and f == 6 and g == i + 8)


def main() -> None:
    me = aegis.environment_page().identifier
    page = aegis.environment_page()
    if me == 1:
        page.transfer_entry = u32(u64(lie))
    elif me == 2:
        page.transfer_entry = u32(u64(spy))
    elif me == 3:
        rpc.serve()
    while me != 0:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    result: u64 = 0
    for number in range(1, 4):
        error: i64 = Error.NO_ENTRY
        while error == Error.NO_ENTRY:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
            result, error = Private(shared.partner(number)).nothing()
    expect("served", result == 42)
    survive(shared.partner(1))
    expect("nothing of the client's", with_secrets(shared.partner(2)) == 0)
    seen, _error = Plain(shared.partner(2)).nothing()
    expect("something, without secrets", seen != 0)
    expect("nothing of the server's", left_by_private(shared.partner(3)) == 0)
    expect("something, without secrets", left_by_plain(shared.partner(3)) != 0)
    print("done")
