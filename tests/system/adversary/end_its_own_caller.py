# SPDX-License-Identifier: MIT
"""One child calls another, which has power over it and ends it while it serves it, then answers, computes on and ends."""

from family import (
    OWN_SLOTS,
    STACK_BYTES,  # noqa: F401  (in assembly)
    ends_otherwise,
    environment_rights,
    make,
    name_of,
    run,
    stacks,  # noqa: F401  (in assembly)
    start,
)

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Kind, Right
from exokernel.exos import aegis
from exokernel.metal import Array, addr, asm, naked, u32, u64, volatile_load, volatile_store

TURNS = 10
words: Array[u64, 8] = Array[u64, 8]()
first: u64 = 0  # whom to serve; strangers are answered at once
messages: Array[aegis.Message, 1] = Array[aegis.Message, 1]([aegis.Message()])


@naked
def enter() -> None:
    asm("""
        cmp rax, qword ptr [{first}]
        jne 2f
        mov esp, offset {stacks} + {3 * STACK_BYTES}
        call {serve}
    2:
        mov eax, {abi.Call.TRANSFER_BACK}
        syscall
        ud2
    """)


def serve() -> None:
    words[4] = u64(aegis.bind(OWN_SLOTS, words[1], words[2], words[3]) != 0)
    words[4] += u64(aegis.environment_end(OWN_SLOTS, 0) != 0)
    aegis.transfer_back()  # to nobody: goes on where it was called


def callee() -> None:
    aegis.environment_page().transfer_entry = u32(u64(enter))
    volatile_store(addr(words[0]), 1)
    while volatile_load(addr(words[5])) == 0:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    aegis.exit(9)


def caller() -> None:
    while aegis.transfer(words[6], messages[0]) == Error.BUSY:
        pass
    volatile_store(addr(words[7]), 1)
    aegis.exit(5)


def main() -> u64:
    global first
    got: u64 = 0
    for _ in range(TURNS):
        words.fill(0)
        second = make(1)
        words[6] = second
        start(1, u64(callee), 1)
        run(second, words[:])
        first = make(0)
        words[1] = name_of(Kind.ENVIRONMENT, first)
        words[2] = environment_rights(first, Right.WRITE)
        words[3] = u64(aegis.capability_mint(words[1], words[2]))
        start(0, u64(caller), 0)
        got += ends_otherwise(first, 0)
        volatile_store(addr(words[5]), 1)
        got += ends_otherwise(second, 9) + words[4] + words[7]
        aegis.unbind(0)
        aegis.unbind(1)
    return got
