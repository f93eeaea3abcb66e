# SPDX-License-Identifier: MIT
"""The well-behaved one among attackers: computes, sleeps, claims and maps as any application does, until the others have
ended; its memory must stay as it left it, its calls must work, and its turn must come.

Prints `steady rounds N wrong N others N`.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Kind, Right
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Ptr, addr, u64, volatile_load, volatile_store

HEAP = 0x10000000 // abi.PAGE_BYTES
FRAMES = 16
WORDS = 4096
SECONDS = 20  # an attacker that lasts longer has succeeded
memory: Array[u64, WORDS] = Array[u64, WORDS]()


def others() -> u64:
    """How many environments there are besides this one."""
    count: u64 = 0
    for i in range(1, abi.ENVIRONMENTS):
        count += u64(aegis.system_page().environments[i].state != abi.State.FREE)
    return count


def help_the_slow() -> None:
    """Lets those run that have no slices: they may have given them up."""
    system = aegis.system_page()
    for i in range(1, abi.ENVIRONMENTS):
        if system.environments[i].state == abi.State.RUNNABLE:
            owned: u64 = 0
            for owner in system.slice_owners:
                owned += u64(owner == i)
            if owned == 0:
                aegis.yield_to(i)


def end_orphans() -> u64:
    """Ends what others created and never started, of which we are the heir; what went wrong."""
    wrong: u64 = 0
    for i in range(1, abi.ENVIRONMENTS):
        status = aegis.system_page().environments[i]
        name = u64(Kind.ENVIRONMENT) << abi.NAME_INDEX_BITS | i
        rights = u64(status.generation) << 32 | Right.WRITE
        if status.state == abi.State.EMBRYO:
            mac = aegis.capability_mint(name, rights)
            if mac >= 0 and aegis.bind(0, name, rights, u64(mac)) == 0:
                wrong += u64(aegis.environment_end(0, 0) != 0)
    return wrong


def pattern(i: u64, turn: u64) -> u64:
    return (i + 1) * 0x9E3779B97F4A7C15 ^ turn


def prepare() -> u64:
    """A heap, before anything is exhausted; what went wrong."""
    wrong = u64(aegis.tlb_node(HEAP, u64(aegis.frame_claim(abi.ANY))) != 0)
    for i in range(FRAMES):
        wrong += u64(aegis.tlb_insert(HEAP + i, u64(aegis.frame_claim(abi.ANY)), Right.WRITE) != 0)
    return wrong


def main() -> None:
    system = aegis.system_page()
    wrong = prepare()
    rounds: u64 = 0
    end = read_timestamp() + SECONDS * system.timestamp_frequency
    while others() != 0 and read_timestamp() < end:
        rounds += 1
        help_the_slow()
        wrong += end_orphans()
        for i in range(WORDS):
            volatile_store(addr(memory[i]), pattern(i, rounds))
        for i in range(FRAMES):
            volatile_store(Ptr[u64]((HEAP + i) * abi.PAGE_BYTES), pattern(i, ~rounds))
        wrong += u64(aegis.wait(read_timestamp() + system.timestamp_frequency // 1000) != 0)
        for i in range(WORDS):
            wrong += u64(volatile_load(addr(memory[i])) != pattern(i, rounds))
        for i in range(FRAMES):
            wrong += u64(volatile_load(Ptr[u64]((HEAP + i) * abi.PAGE_BYTES)) != pattern(i, ~rounds))
    print("steady rounds", rounds, "wrong", wrong, "others", others())
