# SPDX-License-Identifier: MIT
"""Of two children one calls the other, which does not answer; one or the other is ended in the middle, by turns, and the one
that is left must go on. The caller is told that its partner is lost, the other answers nobody.
"""

from family import STACK_BYTES, ends_otherwise, lives, make, run, stacks, start  # noqa: F401  (in assembly)

from exokernel.aegis import abi
from exokernel.aegis.abi import Error
from exokernel.exos import aegis
from exokernel.metal import Array, addr, asm, i64, naked, u32, u64, volatile_load, volatile_store

TURNS = 20
words: Array[u64, 8] = Array[u64, 8]()  # [0]: serves; [1]: the caller's answer; [2]: whom it calls; [3]: go on
first: u64 = 0  # whom to serve; strangers are answered at once
messages: Array[aegis.Message, 1] = Array[aegis.Message, 1]([aegis.Message()])


def serve() -> None:
    """Where the transfer arrives."""
    words[0] = 1
    while volatile_load(addr(words[3])) == 0:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    words[4] = u64(aegis.transfer_back())
    aegis.exit(9)


@naked
def enter() -> None:
    """Takes the third stack; the transfer brought none."""
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


def callee() -> None:
    aegis.environment_page().transfer_entry = u32(u64(enter))
    words[5] = 1
    while True:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
        if volatile_load(addr(words[3])):
            aegis.exit(7)


def caller() -> None:
    answer = aegis.transfer(words[2], messages[0])
    while answer == Error.BUSY:
        answer = aegis.transfer(words[2], messages[0])
    volatile_store(addr(words[1]), u64(answer))
    aegis.exit(5)


def main() -> u64:
    global first
    got: u64 = 0
    for turn in range(TURNS):
        words.fill(0)
        second = make(1)
        words[2] = second
        start(1, u64(callee), 1)
        run(second, words[5:])
        first = make(0)
        start(0, u64(caller), 0)
        run(first, words[0:])
        got += u64(not lives(first)) + u64(not lives(second))
        if turn % 2 == 0:
            got += u64(aegis.environment_end(1, 0) != 0)
            got += ends_otherwise(first, 5)
            got += u64(i64(words[1]) != Error.PARTNER_LOST)
            aegis.unbind(0)
        else:
            got += u64(aegis.environment_end(0, 0) != 0)
            volatile_store(addr(words[3]), 1)
            got += ends_otherwise(second, 7)
            aegis.unbind(1)
    return got
