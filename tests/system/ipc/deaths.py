# SPDX-License-Identifier: MIT
"""Environment 0 works with one partner after the other, each of which ends at a moment that nobody chose: its prologue,
set sometime, ends it wherever it was. By their numbers modulo 4 the partners write, read, share turns, or answer calls
of all three kinds. Environment 0 says how many of each it survived.
"""

from stage import expect, next_random, wait_for_others

from exokernel.aegis import abi
from exokernel.aegis.abi import Call, Error, Right  # noqa: F401  (in assembly)
from exokernel.exos import aegis, pipe, rpc, shared
from exokernel.exos.pipe import CAPACITY, End
from exokernel.exos.shared import Capability
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Ptr, asm, i64, naked, u8, u32, u64, volatile_store

WRITES, READS, TURNS, SERVES = range(4)
PIPE, WORD = 100, 200  # keys, with the partner's number
end: End = End()
buffer: Array[u8, 3 * CAPACITY] = Array[u8, 3 * CAPACITY]()
capabilities: Array[Capability, 1] = Array[Capability, 1]([Capability()])
survived: Array[u64, 4] = Array[u64, 4]()


@rpc.interface(1)
class Adder:
    """With secrets."""

    def add(self, a: u64, b: u64) -> tuple[u64, i64]: ...


@rpc.interface(2, rpc.LRPC)
class PlainAdder:
    """Without."""

    def add(self, a: u64, b: u64) -> tuple[u64, i64]: ...


@rpc.interface(3, rpc.TLRPC)
class TrustedAdder:
    """Among friends."""

    def add(self, a: u64, b: u64) -> tuple[u64, i64]: ...


calls: u64 = 0
last_call: u64 = 0


def add(caller: u64, a: u64, b: u64) -> u64:
    """Ends in the middle of some call."""
    global calls
    calls += 1
    if calls == last_call:
        aegis.exit(0)
    return a + b


rpc.implement(Adder, add)
rpc.implement(PlainAdder, add)
rpc.implement(TrustedAdder, add)


@naked
def die() -> None:
    """A prologue: the end."""
    asm("""
        mov eax, {Call.EXIT}
        xor edi, edi
        syscall
        ud2
    """)


def doom() -> None:
    """When the next slice of ours begins, it is over."""
    aegis.environment_page().slice_start_entry = u32(u64(die))


# ---- partners


def write_and_die(me: u64, seed: u64) -> None:
    assert pipe.open_writer(end, shared.partner(0), PIPE + me) == 0
    at: u64 = 0
    rounds = seed >> 58
    while True:
        seed = next_random(seed)
        size = 1 + (seed >> 33) % (3 * CAPACITY if seed >> 63 else 30)
        for i in range(size):
            buffer[i] = u8(at + i)
        if rounds == 0:
            doom()
        rounds -= 1
        assert pipe.write(end, buffer[:size]) == 0
        at += size


def read_and_die(me: u64, seed: u64) -> None:
    assert pipe.open_reader(end, shared.partner(0), PIPE + me) == 0
    rounds = seed >> 58
    at: u64 = 0
    while True:
        seed = next_random(seed)
        size = pipe.read(end, buffer[: 1 + (seed >> 33) % (3 * CAPACITY)])
        assert size > 0
        for i in range(u64(size)):
            assert buffer[i] == u8(at + i)
        at += u64(size)
        if rounds == 0:
            doom()
        rounds -= 1


def count_and_die(me: u64, seed: u64) -> None:
    """Owns the page or not."""
    owner = shared.partner(0)
    address: i64 = 0
    if me & 4:
        address = shared.create(1)
        shared.offer(u64(address), Right.WRITE, capabilities[0])
        shared.publish(WORD, owner, capabilities[0])
    else:
        assert shared.find(owner, WORD + me, capabilities[0]) == 0
        address = shared.accept(capabilities, Right.WRITE)
    assert address > 0
    turn = Ptr[u64](u64(address))
    mine: u64 = 1
    rounds = seed >> 58
    while True:
        assert shared.await_turn(turn, mine, owner) == 0
        if rounds == 0:
            doom()
        rounds -= 1
        volatile_store(turn, mine + 1)
        mine += 2


def serve_and_die(seed: u64) -> None:
    global last_call
    last_call = 1 + (seed >> 56)
    rpc.serve()
    while True:
        pass


# ---- environment 0


def read_from(partner: u64, number: u64) -> None:
    assert pipe.open_reader(end, partner, PIPE + number) == 0
    at: u64 = 0
    size: i64 = 1
    while size > 0:
        size = pipe.read(end, buffer)
        for i in range(u64(max(size, 0))):
            expect("a byte", buffer[i] == u8(at + i))
        at += u64(max(size, 0))
    expect("the writer is lost", size == Error.PARTNER_LOST)
    word, error = pipe.get(end)
    expect("still", word == 0 and error == Error.PARTNER_LOST)
    pipe.close_reader(end)
    shared.withdraw(PIPE + number)


def write_to(partner: u64, number: u64) -> None:
    result = pipe.open_writer(end, partner, PIPE + number)
    at: u64 = 0
    seed = read_timestamp()
    while result == 0:
        seed = next_random(seed)
        size = 1 + (seed >> 33) % (3 * CAPACITY if seed >> 63 else 30)
        for i in range(size):
            buffer[i] = u8(at + i)
        result = pipe.write(end, buffer[:size])
        at += size
    if result != Error.PARTNER_LOST:
        print("wrong: the reader is lost, but", result)
    expect("still", pipe.put(end, 5) == Error.PARTNER_LOST)
    expect("longer than the ring", pipe.write(end, buffer) == Error.PARTNER_LOST)
    pipe.close_writer(end)


def count_with(partner: u64, number: u64) -> None:
    address: i64 = 0
    if number & 4:
        assert shared.find(partner, WORD, capabilities[0]) == 0
        address = shared.accept(capabilities, Right.WRITE)
    else:
        address = shared.create(1)
        shared.offer(u64(address), Right.WRITE, capabilities[0])
        shared.publish(WORD + number, partner, capabilities[0])
    assert address > 0
    turn = Ptr[u64](u64(address))
    mine: u64 = 0
    while shared.await_turn(turn, mine, partner) == 0:
        volatile_store(turn, mine + 1)
        mine += 2
    expect("still", shared.await_turn(turn, mine + 77, partner) == Error.PARTNER_LOST)
    shared.end(u64(address), 1)
    shared.withdraw(WORD + number)


def call(partner: u64) -> None:
    """Every answer is right until there is none any more; what was alive in registers is as it was."""
    kind: u64 = 0
    sum: u64 = 0
    expected: u64 = 0
    error: i64 = 0
    while True:
        kind = (kind + 1) % 3
        expected += kind
        result: u64 = 0
        if kind == 0:
            result, error = Adder(partner).add(sum, kind)
        elif kind == 1:
            result, error = PlainAdder(partner).add(sum, kind)
        else:
            result, error = TrustedAdder(partner).add(sum, kind)
        if error == Error.BUSY or error == Error.NO_ENTRY:
            expected -= kind
            aegis.yield_to(abi.ANY_ENVIRONMENT)
            continue
        if error < 0:
            break
        sum = result
        expect("the sum", sum == expected)
    expect("lost in the middle", error == Error.PARTNER_LOST)
    expect("sums at the end", expected == sum + kind)
    result, error = Adder(partner).add(1, 2)
    expect("not there", error == Error.NOT_RUNNABLE)
    result, error = TrustedAdder(partner).add(1, 2)
    expect("not there either", error == Error.NOT_RUNNABLE)


def main() -> None:
    me = aegis.environment_page().identifier
    seed = next_random(read_timestamp() * 64 + me)
    kind = me & 3
    if me != 0:
        if kind == WRITES:
            write_and_die(me, seed)
        elif kind == READS:
            read_and_die(me, seed)
        elif kind == TURNS:
            count_and_die(me, seed)
        serve_and_die(seed)
    number: u64 = 1
    while number < abi.ENVIRONMENTS and shared.alive(shared.partner(number)):
        partner = shared.partner(number)
        if number & 3 == WRITES:
            read_from(partner, number)
        elif number & 3 == READS:
            write_to(partner, number)
        elif number & 3 == TURNS:
            count_with(partner, number)
        else:
            call(partner)
        survived[number & 3] += 1
        number += 1
    wait_for_others()
    print("survived", survived[0], survived[1], survived[2], survived[3])
