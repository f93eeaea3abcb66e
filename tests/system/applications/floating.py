# SPDX-License-Identifier: MIT
"""Vector and floating-point registers: environments 0 to 2 keep numbers of their own in them while all compute, yield
and call; environment 3 does not ask for them and uses them all the same.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error
from exokernel.exos import aegis, exceptions, transfer
from exokernel.exos.aegis import Message
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, addr, aligned, asm, naked, u8, u64

ROUNDS = 300

wanted: Array[u64, 34] = aligned(64, Array[u64, 34]())
found: Array[u64, 34] = aligned(64, Array[u64, 34]())
exceptions_seen: u64 = 0


@naked
def load(place: u64) -> None:
    """All vector registers, and st(0), from memory."""
    asm("""
        movups xmm0, xmmword ptr [rdi]
        movups xmm1, xmmword ptr [rdi + 16]
        movups xmm2, xmmword ptr [rdi + 32]
        movups xmm3, xmmword ptr [rdi + 48]
        movups xmm4, xmmword ptr [rdi + 64]
        movups xmm5, xmmword ptr [rdi + 80]
        movups xmm6, xmmword ptr [rdi + 96]
        movups xmm7, xmmword ptr [rdi + 112]
        movups xmm8, xmmword ptr [rdi + 128]
        movups xmm9, xmmword ptr [rdi + 144]
        movups xmm10, xmmword ptr [rdi + 160]
        movups xmm11, xmmword ptr [rdi + 176]
        movups xmm12, xmmword ptr [rdi + 192]
        movups xmm13, xmmword ptr [rdi + 208]
        movups xmm14, xmmword ptr [rdi + 224]
        movups xmm15, xmmword ptr [rdi + 240]
        fild qword ptr [rdi + 256]
        ret
    """)


@naked
def store(place: u64) -> None:
    """The same to memory; the floating-point stack is then empty."""
    asm("""
        movups xmmword ptr [rdi], xmm0
        movups xmmword ptr [rdi + 16], xmm1
        movups xmmword ptr [rdi + 32], xmm2
        movups xmmword ptr [rdi + 48], xmm3
        movups xmmword ptr [rdi + 64], xmm4
        movups xmmword ptr [rdi + 80], xmm5
        movups xmmword ptr [rdi + 96], xmm6
        movups xmmword ptr [rdi + 112], xmm7
        movups xmmword ptr [rdi + 128], xmm8
        movups xmmword ptr [rdi + 144], xmm9
        movups xmmword ptr [rdi + 160], xmm10
        movups xmmword ptr [rdi + 176], xmm11
        movups xmmword ptr [rdi + 192], xmm12
        movups xmmword ptr [rdi + 208], xmm13
        movups xmmword ptr [rdi + 224], xmm14
        movups xmmword ptr [rdi + 240], xmm15
        fistp qword ptr [rdi + 256]
        ret
    """)


def unavailable(registers: Registers) -> u8:
    global exceptions_seen
    exceptions_seen += 1
    return Verdict.SKIP


def touch(caller: u64, message: Message) -> None:
    """A service that uses the registers, of an environment that may."""
    number = aegis.environment_page().identifier
    load(u64(addr(wanted)))
    store(u64(addr(found)))
    message.words[0] = number


def check(what: str) -> None:
    store(u64(addr(found)))
    for i in range(33):
        if found[i] != wanted[i]:
            print("environment", aegis.environment_page().identifier, what, "register word", i, f"is {found[i]:#x}")
            aegis.exit(1)


def main() -> None:
    number = aegis.environment_page().identifier
    if number == 3:
        exceptions.handle(exceptions.COPROCESSOR, unavailable)
        for _ in range(ROUNDS):
            asm("movq rax, xmm3", "~{rax},~{memory}")
            asm("fld1", "~{memory}")
            asm("stmxcsr dword ptr [rdi]", "{rdi},~{memory}", u64(addr(found)))
            aegis.yield_to(abi.ANY_ENVIRONMENT)
        print("refused", exceptions_seen, "seen", found[0])
        return
    assert aegis.floating_point(2) == Error.BAD_ARGUMENT and aegis.floating_point(1) == 0, "asking"
    asm("fild qword ptr [rdi]", "{rdi},~{memory}", u64(addr(found)))
    check("at first")
    for i in range(33):
        wanted[i] = (number + 1) << 32 | i
    transfer.serve(touch)
    message = Message()
    for turn in range(ROUNDS):
        load(u64(addr(wanted)))
        if turn % 3 == 0:
            aegis.yield_to((number + 1) % 3)
        elif turn % 3 == 1:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
        elif number == 0:
            aegis.transfer(1, message)
        else:
            for _ in range(30000):
                asm("pause", "~{memory}")
        check("later")
    assert aegis.floating_point(0) == 0 and aegis.floating_point(1) == 0, "giving up"
    asm("fild qword ptr [rdi]", "{rdi},~{memory}", u64(addr(wanted[33])))
    wanted.fill(0)
    check("after giving up")
    print("kept", number)
    if number == 0:
        while aegis.system_page().environments[1].state + aegis.system_page().environments[2].state != 0:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
        while aegis.system_page().environments[3].state != abi.State.FREE:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
