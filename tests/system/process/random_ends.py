# SPDX-License-Identifier: MIT
"""Families whose members fork, spawn, exec, wait and are killed at any moment, by chance. Nobody ever sees what another
has written, and in the end everything is where it was. Prints what is not as it should be, then `done`.
"""

from cycles import expect, settle

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis, process, vm
from exokernel.exos.arguments import Arguments
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Ptr, Span, i64, u64

PROGRAMS = ["counting.py", "chained.py"]
AREA = 0x2E000000
PAGES = 24
ROUNDS = 30
WORDS = PAGES * abi.PAGE_BYTES // 8

state: u64 = 0
given: Arguments = Arguments()


def chance(below: u64) -> u64:
    """A number below that."""
    global state
    state = state * 6364136223846793005 + 1442695040888963407
    return (state >> 33) % below


def memory() -> Span[u64]:
    return Span[u64](Ptr[u64](AREA), WORDS)


def write(mark: u64) -> None:
    """A word in each page, in any order."""
    start = chance(PAGES)
    for i in range(PAGES):
        memory()[(start + i) % PAGES * 512 + chance(8) * 64] = mark


def fill(mark: u64) -> None:
    for i in range(0, WORDS, 64):
        memory()[i] = mark


def check(mark: u64) -> bool:
    for i in range(0, WORDS, 64):  # noqa: SIM110
        if memory()[i] != mark:
            return False
    return True


def live(mark: u64, depth: u64) -> i64:
    """What a member of a family does: its status is 1 if it saw what was not its own."""
    global state
    state = mark * 977 + depth
    if not check(mark // 16):
        return 1
    fill(mark)
    for i in range(1 + chance(3)):
        if not check(mark):
            return 1
        match chance(6):
            case 0 | 1 | 2:
                if depth != 0 and process.fork() == 0:
                    process.exit(live(mark * 16 + i + 1, depth - 1))
            case 3:
                process.spawn(b"counting", given)
            case 4:
                aegis.yield_to(abi.ANY_ENVIRONMENT)
            case _:
                found, status = process.try_wait(0)
                if found > 0 and status == 1:
                    return 1
    if not check(mark):
        return 1
    if chance(4) == 0:
        process.exec(b"counting", given)
    return 0


def lend_once() -> None:
    """So that the list of lent frames has its memory, which it keeps."""
    number = process.fork()
    if number == 0:
        aegis.wait(abi.FOREVER)
    fill(0)
    expect("lent", i64(vm.state.lent != 0), 1)
    process.kill(u64(number))
    process.wait(u64(number))


def main() -> None:
    expect("region", vm.reserve(AREA // abi.PAGE_BYTES, PAGES, Right.WRITE, vm.Flag.DEMAND, vm.refuse), 0)
    fill(0)
    lend_once()
    free: u64 = 0
    killed: u64 = 0
    for turn in range(ROUNDS):
        fill(0)
        for i in range(2 + chance(3)):
            if process.fork() == 0:
                process.exit(live(turn % 3 * 3 + i + 1, 3))
        for _ in range(chance(6)):
            until = read_timestamp() + chance(3_000_000)
            while read_timestamp() < until:
                aegis.yield_to(abi.ANY_ENVIRONMENT)
            victim = process.at(chance(process.PROCESSES)).word >> 32
            if victim != process.own_number() and process.kill(victim) == 0:
                killed += 1
        found: i64 = 1
        while found > 0:
            found, status = process.wait(0)
            expect("saw what was not its own", i64(status == 1), 0)
        expect("mine", i64(check(0)), 1)
        while others() != 0:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
            process.end_unborn()
        settle()
        if turn == 0:
            free = aegis.system_page().frames_free
        expect("frames", i64(aegis.system_page().frames_free), i64(free))
    expect("some were killed", i64(killed > 3), 1)
    print("done")


def others() -> u64:
    count: u64 = 0
    for i in range(1, abi.ENVIRONMENTS):
        if aegis.system_page().environments[i].state != abi.State.FREE:
            count += 1
    return count
