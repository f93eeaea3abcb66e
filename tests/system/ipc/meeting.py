# SPDX-License-Identifier: MIT
"""Environment 0 shares pages with 1 alone and one with everybody; 2 tries to get what it was not offered. Then the
sharing ends, from either side, and memory runs out.
"""

from stage import expect, wait_for_others

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis, shared, slots, transfer
from exokernel.exos.aegis import Message
from exokernel.exos.shared import Capability
from exokernel.metal import Array, Ptr, Span, addr, i64, u64, volatile_load, volatile_store

FOR_ONE, FOR_ALL, TWO_PAGES, STEP, LAST, NEVER = range(1, 7)
capability: Capability = Capability()
pair: Array[Capability, 2] = Array[Capability, 2]([Capability(), Capability()])


def word(address: i64) -> Ptr[u64]:
    return Ptr[u64](u64(address))


def handle(caller: u64, message: Message) -> None:
    """Messages that are no question for a publication."""
    message.words[1] += message.words[2]


def only(one: Capability) -> Span[Capability]:
    return Span[Capability](addr(one), 1)


def own() -> None:
    transfer.serve(handle)
    one = shared.partner(1)
    address = shared.create(2)
    expect("created zeroed", address > 0 and word(address)[0] == 0 and word(address + 4096)[511] == 0)
    everybody = shared.create(1)
    word(everybody)[0] = 99
    shared.offer(u64(everybody), Right.READ, capability)
    expect("publish for all", shared.publish(FOR_ALL, abi.ANY, capability) == 0)
    expect("offer another's", shared.offer(abi.SYSTEM_ADDRESS, Right.READ, capability) == Error.NOT_OWNER)
    for i in range(2):
        expect("offer", shared.offer(u64(address) + i * 4096, Right.WRITE, pair[i]) == 0)
    expect("publish", shared.publish(FOR_ONE, one, pair[0]) == 0)
    expect("publish", shared.publish(TWO_PAGES, one, pair[1]) == 0)
    step = word(everybody)
    while volatile_load(word(address)) != 1:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    expect("two pages side by side", volatile_load(word(address + 4096)) == 2)
    shared.withdraw(FOR_ONE)
    volatile_store(step, 100)
    while volatile_load(word(address)) != 3:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    shared.end(u64(address), 2)
    volatile_store(step, 101)
    room: u64 = 0
    while shared.publish(1000 + room, abi.ANY, capability) == 0:
        room += 1
    expect("room for publications", room == shared.PUBLICATIONS - 2)
    wait_for_others()
    exhaust()
    print("done")


def exhaust() -> None:
    """Out of memory is an answer, and everything comes back."""
    before = aegis.system_page().frames_free
    first = slots.take(shared.taken, 1)
    slots.release(shared.taken, first, 1)
    result: i64 = 0
    while result >= 0:
        result = shared.create(64)
    result = 0
    while result >= 0:
        result = shared.create(1)
    expect("no more", result == Error.NO_FRAMES or result == Error.NO_ROOM)
    if result == Error.NO_FRAMES:
        shared.offer(shared.REGION * abi.PAGE_BYTES + 2 * abi.PAGE_BYTES, Right.READ, capability)
        expect("no page of zeros to be had", shared.accept(only(capability), Right.READ) == Error.NO_FRAMES)
    for page in range(shared.REGION + first, shared.REGION + shared.PAGES):
        if aegis.table_entry(page).present and aegis.table_entry(page).own:
            shared.end(page * abi.PAGE_BYTES, 1)
    tables: u64 = (
        shared.PAGES // 512 + shared.PAGES // 1024 + 1
    )  # the kernel's, those of `vm`, and where they are mapped
    expect("all back but tables", aegis.system_page().frames_free + tables >= before)
    expect("again", shared.create(3) > 0)


def await_step(step: i64, wanted: u64) -> None:
    while volatile_load(word(step)) < wanted:
        aegis.yield_to(abi.ANY_ENVIRONMENT)


def accept_all(owner: u64) -> i64:
    expect("find for all", shared.find(owner, FOR_ALL, capability) == 0)
    expect("only to read", shared.accept(only(capability), Right.WRITE) == Error.NOT_PERMITTED)
    step = shared.accept(only(capability), Right.READ)
    expect("read", step > 0 and volatile_load(word(step)) >= 99)
    return step


def take() -> None:
    owner = shared.partner(0)
    step = accept_all(owner)
    expect("find", shared.find(owner, FOR_ONE, pair[0]) == 0 and shared.find(owner, TWO_PAGES, pair[1]) == 0)
    pair[1].mac ^= 1
    for _ in range(300):  # more than there are slots
        expect("forged", shared.accept(pair, Right.WRITE) == Error.FORGED)
    pair[1].mac ^= 1
    expect("no capability", shared.accept(pair[:0], Right.WRITE) == Error.NO_ROOM)
    address = shared.accept(pair, Right.WRITE)
    expect("accept", address > 0)
    word(address + 4096)[0] = 2
    volatile_store(word(address), 1)
    await_step(step, 100)
    expect("withdrawn", shared.look(owner, FOR_ONE, capability) == Error.NOT_PERMITTED)
    expect("still there", volatile_load(word(address)) == 1)
    for _ in range(300):
        again = shared.accept(pair, Right.WRITE)
        expect("twice", again > 0 and volatile_load(word(again)) == 1)
        shared.end(u64(again), 2)
    expect("not lost", not shared.lost(owner, u64(address)))
    volatile_store(word(address), 3)
    await_step(step, 101)
    expect("zeros now", volatile_load(word(address)) == 0 and shared.lost(owner, u64(address)))
    word(address + 4096)[1] = 7
    expect("lost", shared.lost(owner, u64(address) + 4096) and shared.alive(owner))
    expect("stale", shared.accept(pair, Right.WRITE) == Error.STALE)
    expect("turn", shared.await_turn(word(address), 5, owner) == Error.PARTNER_LOST)
    shared.end(u64(address), 2)


def intrude() -> None:
    owner = shared.partner(0)
    step = accept_all(owner)
    while volatile_load(word(step)) < 100:
        expect("not for me", shared.look(owner, FOR_ONE, capability) != 0)
        expect("no such key", shared.look(owner, NEVER, capability) != 0)
        expect("no key", shared.look(owner, 0, capability) != 0)
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    message = Message()
    message.words[1] = 40
    message.words[2] = 2
    while aegis.transfer(0, message) == Error.BUSY:
        pass
    expect("other messages go on", message.words[1] == 42)
    expect("who is not there", shared.look(shared.partner(40), 1, capability) == Error.NOT_RUNNABLE)
    expect("nor will be", shared.find(shared.partner(40), 1, capability) == Error.PARTNER_LOST)
    stranger = owner + (u64(1) << 32)
    expect("a later one", not shared.alive(stranger))


def main() -> None:
    me = aegis.environment_page().identifier
    if me == 0:
        own()
    elif me == 1:
        take()
    else:
        intrude()
