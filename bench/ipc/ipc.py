# SPDX-License-Identifier: MIT
"""Messages between two environments, as in tables 8 and 12. Run it twice in one image: environment 0 measures, 1 is
the partner.

Every line printed is `row number number ...`: instructions of ROUNDS round trips each, by the time-stamp counter, less
those of the same loop with nothing in it.
"""

from exokernel.aegis import abi
from exokernel.exos import aegis, measure, pipe, rpc, shared
from exokernel.exos.pipe import End
from exokernel.exos.shared import Capability
from exokernel.metal import (
    Array,
    Ptr,
    Span,
    addr,
    compiler_barrier,
    i64,
    inline,
    noinline,
    u8,
    u64,
    volatile_load,
    volatile_store,
)

SAMPLES = 101
ROUNDS = 8
THERE, BACK, TURN = 1, 2, 3  # keys

settings: Array[u64, 2] = Array[u64, 2]([8, ROUNDS])  # read at run time, so that nothing is compiled just for them
samples: Array[u64, SAMPLES] = Array[u64, SAMPLES]()
nothing: u64 = 0
incoming: End = End()
outgoing: End = End()
cell: Array[u64, 1] = Array[u64, 1]()
counter: u64 = 0


@rpc.interface(1, rpc.LRPC)
class Counter:
    """The paper's procedure: adds one and returns the sum."""

    def increment(self) -> tuple[u64, i64]: ...


@rpc.interface(2, rpc.TLRPC)
class TrustedCounter:
    """The same between those who trust each other."""

    def increment(self) -> tuple[u64, i64]: ...


@rpc.interface(3, rpc.PRIVATE)
class PrivateCounter:
    """The same between those who have secrets."""

    def increment(self) -> tuple[u64, i64]: ...


def increment(caller: u64) -> u64:
    global counter
    counter += 1
    return counter


rpc.implement(Counter, increment)
rpc.implement(TrustedCounter, increment)
rpc.implement(PrivateCounter, increment)


def report(row: str) -> None:
    measure.row()
    print(row, end="")
    for sample in samples:
        print("", sample - nothing, end="")
    print()


@inline
def rounds() -> u64:
    return volatile_load(addr(settings[1]))


@noinline
def measure_nothing() -> None:
    global nothing
    turns = rounds()
    for i in range(SAMPLES):
        before = measure.begin()
        for _ in range(turns):
            compiler_barrier()
        samples[i] = measure.end() - before
    nothing = samples[0]


@noinline
def measure_pipe(message: Span[u8]) -> None:
    turns = rounds()
    for i in range(SAMPLES):
        before = measure.begin()
        for _ in range(turns):
            pipe.write(outgoing, message)
            pipe.read(incoming, message)
            cell[0] += 1
        samples[i] = measure.end() - before
    assert cell[0] == 2 * SAMPLES * ROUNDS


def answer_pipe(message: Span[u8]) -> None:
    for _ in range(SAMPLES * ROUNDS):
        pipe.read(incoming, message)
        cell[0] += 1
        pipe.write(outgoing, message)


@noinline
def measure_inline() -> None:
    """The word itself counts."""
    turns = rounds()
    word: u64 = 0
    for i in range(SAMPLES):
        last = word + 2 * turns
        before = measure.begin()
        while word != last:
            pipe.put(outgoing, word)
            word, _error = pipe.get(incoming)
            word += 1
        samples[i] = measure.end() - before


def answer_inline() -> None:
    word: u64 = 0
    while word != 2 * SAMPLES * ROUNDS - 1:
        word, _error = pipe.get(incoming)
        word += 1
        pipe.put(outgoing, word)


@noinline
def measure_turns(turn: Ptr[u64], partner: u64) -> None:
    """The shared counter says whose turn it is: who is one ahead waits. Ours are the even numbers."""
    turns = rounds()
    mine: u64 = 0
    for i in range(SAMPLES):
        last = mine + 2 * turns
        before = measure.begin()
        while mine != last:
            shared.await_turn(turn, mine, partner)
            volatile_store(turn, mine + 1)
            mine += 2
        samples[i] = measure.end() - before


def answer_turns(turn: Ptr[u64], partner: u64) -> None:
    mine: u64 = 1
    while mine != 2 * SAMPLES * ROUNDS + 1:
        shared.await_turn(turn, mine, partner)
        volatile_store(turn, mine + 1)
        mine += 2


@noinline
def measure_lrpc(server: u64) -> None:
    remote = Counter(server)
    turns = rounds()
    value, _error = remote.increment()
    for i in range(SAMPLES):
        last = value + turns
        before = measure.begin()
        while value != last:
            value, _error = remote.increment()
        samples[i] = measure.end() - before


@noinline
def measure_tlrpc(server: u64) -> None:
    remote = TrustedCounter(server)
    turns = rounds()
    value, _error = remote.increment()
    for i in range(SAMPLES):
        last = value + turns
        before = measure.begin()
        while value != last:
            value, _error = remote.increment()
        samples[i] = measure.end() - before


@noinline
def measure_private(server: u64) -> None:
    remote = PrivateCounter(server)
    turns = rounds()
    value, _error = remote.increment()
    for i in range(SAMPLES):
        last = value + turns
        before = measure.begin()
        while value != last:
            value, _error = remote.increment()
        samples[i] = measure.end() - before


def main() -> None:
    message = Span[u8](Ptr[u8](addr(cell)), volatile_load(addr(settings[0])))
    capabilities = Array[Capability, 1]()
    if aegis.environment_page().identifier == 1:
        partner = shared.partner(0)
        pipe.open_reader(incoming, partner, THERE)
        pipe.open_writer(outgoing, partner, BACK)
        answer_pipe(message)
        answer_inline()
        shared.find(partner, TURN, capabilities[0])
        answer_turns(Ptr[u64](u64(shared.accept(capabilities, abi.Right.WRITE))), partner)
        rpc.serve()
        aegis.wait(abi.FOREVER)
    partner = shared.partner(1)
    pipe.open_reader(incoming, partner, BACK)
    pipe.open_writer(outgoing, partner, THERE)
    measure.print_frequency()
    measure_nothing()
    measure_pipe(message)
    report("pipe")
    measure_inline()
    report("pipe-inline")
    address = u64(shared.create(1))
    shared.offer(address, abi.Right.WRITE, capabilities[0])
    shared.publish(TURN, partner, capabilities[0])
    measure_turns(Ptr[u64](address), partner)
    report("shm")
    while aegis.system_page().environments[1].state != abi.State.SLEEPING:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    measure_lrpc(partner)
    report("lrpc")
    measure_tlrpc(partner)
    report("tlrpc")
    measure_private(partner)
    report("lrpc private")
