# SPDX-License-Identifier: MIT
"""Protection keys: two environments that use them, 0 and 1, and one that does not, 2. Each of the first two forbids
itself its own secret by key 3, and looks again after every kind of switch. Prints what is not as it should be, then
`done`.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right, State
from exokernel.exos import aegis, exceptions, transfer
from exokernel.exos.aegis import Message
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Ptr, addr, asm, i64, u8, u32, u64, volatile_load

PAGE = 0x10000000 // abi.PAGE_BYTES
KEY = 3
NOT_TO_READ = 1 << (2 * KEY)
KEY_FAULT = 32  # of a page fault's error code
faults: u64 = 0
others: u64 = 0


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted)


def count(registers: Registers) -> u8:
    global faults, others
    if registers.cause.error & KEY_FAULT:
        faults += 1
    else:
        others += 1
    return Verdict.SKIP


def key_rights() -> u32:
    return asm("rdpkru", "={eax},{ecx},~{edx}", u32(0), returns=u32)


def set_key_rights(rights: u32) -> None:
    asm("wrpkru", "{eax},{ecx},{edx},~{memory}", rights, u32(0), u32(0))


def guarded(after: str) -> None:
    """The secret is out of reach, and PKRU is ours."""
    before = volatile_load(addr(faults))
    volatile_load(Ptr[u64](PAGE * abi.PAGE_BYTES))
    expect(after, i64(volatile_load(addr(faults)) - before), 1)
    expect(after, i64(key_rights()), NOT_TO_READ)


def prepare() -> None:
    exceptions.handle(exceptions.PAGE, count)
    aegis.tlb_node(PAGE, u64(aegis.frame_claim(abi.ANY)))
    frame = u64(aegis.frame_claim(abi.ANY))
    expect("map", aegis.tlb_insert(PAGE, frame, Right.WRITE | KEY << abi.KEY_SHIFT), 0)
    expect("only 0 and 1", aegis.protection_keys(2), Error.BAD_ARGUMENT)
    expect("keys", aegis.protection_keys(1), 0)
    Ptr[u64](PAGE * abi.PAGE_BYTES)[0] = 7
    set_key_rights(NOT_TO_READ)


def answer(caller: u64, message: Message) -> None:
    guarded("called")
    message.words[0] += 1


def skip_undefined(registers: Registers) -> u8:
    global others
    others += 1
    return Verdict.SKIP


def without() -> None:
    """Who did not ask cannot use them, and is not hindered by others'."""
    exceptions.handle(exceptions.UNDEFINED, skip_undefined)
    set_key_rights(0xFFFFFFFF)
    expect("wrpkru", i64(volatile_load(addr(others))), 1)
    frame = u64(aegis.frame_claim(abi.ANY))
    aegis.tlb_node(PAGE, u64(aegis.frame_claim(abi.ANY)))
    aegis.tlb_insert(PAGE, frame, Right.WRITE | KEY << abi.KEY_SHIFT)
    while True:
        expect("unhindered", i64(volatile_load(Ptr[u64](PAGE * abi.PAGE_BYTES))), 0)
        aegis.yield_to(0)


def serves(environment: u64) -> bool:
    """Whether it answers, which it does from its first look at its secret on."""
    message = Message()
    return aegis.transfer(environment, message) >= 0


def main() -> None:
    number = aegis.environment_page().identifier
    if number == 2:
        without()
    prepare()
    guarded("at once")
    transfer.serve(answer)
    if number == 1:
        for _ in range(200):
            aegis.yield_to(0)
            guarded("yielded to")
        aegis.wait(abi.FOREVER)
    message = Message()
    while not serves(1):
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    for i in range(200):
        aegis.yield_to(1)
        guarded("yielded back")
        aegis.yield_to(2)
        guarded("yielded back by one without")
        expect("transfer", aegis.transfer(1, message), 1)
        expect("answer", i64(message.words[0]), i64(i + 1))
        guarded("answered")
        expect("refused", aegis.transfer(2, message), Error.NO_ENTRY)
        guarded("refused")
        expect("nobody", aegis.transfer(60, message), Error.NOT_RUNNABLE)
        guarded("nobody there")
        expect("no yield", aegis.yield_to(60), Error.NOT_RUNNABLE)
        guarded("not yielded")
        aegis.wait(read_timestamp() + 10_000)
        guarded("slept")
    begun = read_timestamp()
    while read_timestamp() < begun + aegis.system_page().timestamp_frequency // 50:
        pass
    guarded("many slices")
    aegis.tlb_protect(PAGE, 1, Right.READ | KEY << abi.KEY_SHIFT)
    expect("the kernel keeps to them", aegis.network_transmit(PAGE * abi.PAGE_BYTES, 64), Error.BAD_ADDRESS)
    expect("off", aegis.protection_keys(0), 0)
    expect("readable", i64(volatile_load(Ptr[u64](PAGE * abi.PAGE_BYTES))), 7)
    expect("others", i64(volatile_load(addr(others))), 0)
    expect("1 lives", i64(aegis.system_page().environments[1].state != State.FREE), 1)
    print("done")
