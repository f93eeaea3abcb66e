# SPDX-License-Identifier: MIT
"""Remote procedure calls among four environments. 0 is a client, and says what is wrong; 1 serves two interfaces, also
to 3, which serves too, by calling 1, while it calls 1 on its own; 2 has no interface but answers messages.
"""

from stage import expect

from exokernel.aegis import abi
from exokernel.aegis.abi import Error
from exokernel.exos import aegis, rpc, shared, transfer
from exokernel.exos.aegis import Message
from exokernel.exos.rpc import NO_METHOD, STRANGER
from exokernel.metal import i8, i64, noinline, u8, u16, u32, u64

ROUNDS = 20000


@rpc.interface(1)
class Everything:
    """Arguments of all kinds."""

    def none(self) -> tuple[u64, i64]: ...
    def caller(self, a: u8) -> tuple[u32, i64]: ...
    def six(self, a: u64, b: u8, c: i8, d: u16, e: bool, f: u64) -> tuple[u64, i64]: ...
    def negative(self, a: i64, b: i8) -> tuple[i8, i64]: ...
    def opposite(self, a: bool) -> tuple[bool, i64]: ...
    def three(self, a: u64, b: u64, c: u64) -> tuple[u64, i64]: ...


@rpc.interface(20, rpc.LRPC)
class Sums:
    """Without secrets."""

    def two(self, a: u64, b: u64) -> tuple[u64, i64]: ...
    def six(self, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> tuple[u64, i64]: ...


@rpc.interface(40, rpc.TLRPC)
class TrustedSums:
    """Among friends."""

    def two(self, a: u64, b: u64) -> tuple[u64, i64]: ...
    def six(self, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> tuple[u64, i64]: ...
    def opposite(self, a: bool) -> tuple[bool, i64]: ...


@rpc.interface(60)
class Passing:
    """Is served by calling somebody else."""

    def six(self, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> tuple[u64, i64]: ...


@rpc.interface(100)
class NotServed:
    """Nobody does."""

    def missing(self, a: u64) -> tuple[u64, i64]: ...


@rpc.interface(5)
class NoBool:
    """The hostile view of Everything.opposite."""

    def opposite(self, a: u64) -> tuple[u64, i64]: ...


def none(caller: u64) -> u64:
    return 42


def tell_caller(caller: u64, a: u8) -> u32:
    return u32(caller) << 8 | a


def mix(caller: u64, a: u64, b: u8, c: i8, d: u16, e: bool, f: u64) -> u64:
    return a * 100000 + u64(b) * 10000 + u64(i64(c) + 100) * 1000 + u64(d) * 100 + u64(e) * 10 + f


def negative(caller: u64, a: i64, b: i8) -> i8:
    return i8(a) - b


def opposite(caller: u64, a: bool) -> bool:
    return not a


def three(caller: u64, a: u64, b: u64, c: u64) -> u64:
    return a * 100 + b * 10 + c


def two(caller: u64, a: u64, b: u64) -> u64:
    return a * 10 + b


def six(caller: u64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64:
    return ((((a * 10 + b) * 10 + c) * 10 + d) * 10 + e) * 10 + f


def pass_on(caller: u64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64:
    """Calls while somebody waits for the answer."""
    while True:
        result, error = Sums(shared.partner(1)).six(a, b, c, d, e, f)
        if error >= 0:
            return result
        expect("busy on the way", error == Error.BUSY)
        message = Message()
        aegis.transfer(2, message)
    return 0


rpc.implement(Everything, none, tell_caller, mix, negative, opposite, three)
rpc.implement(Sums, two, six)
rpc.implement(TrustedSums, two, six, opposite)
rpc.implement(Passing, pass_on)


def pass_messages(caller: u64, message: Message) -> None:
    message.words[1] += 1


@noinline
def again(error: i64) -> bool:
    """Whether to call again, because the server was busy or not there yet."""
    if error == Error.BUSY or error == Error.NO_ENTRY:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
        return True
    return False


def call_for_ever() -> None:
    """Environment 3 on its own, interrupted by calls to it."""
    server = shared.partner(1)
    count: u64 = 0
    while True:
        count += 1
        sum, error = Sums(server).two(count, 7)
        assert sum == count * 10 + 7 or again(error), "an answer to what we did on our own"
        sum, error = TrustedSums(server).two(count, 8)
        assert sum == count * 10 + 8 or again(error)
        message = Message()
        message.words[1] = count
        assert message.words[1] == count + 1 or again(aegis.transfer(2, message)) or message.words[1] == count + 1


def check_everything(server: u64) -> None:
    remote = Everything(server)
    answer, error = remote.none()
    while again(error):
        answer, error = remote.none()
    expect("none", answer == 42 and error >= 0)
    number, error = remote.caller(200)
    while again(error):
        number, error = remote.caller(200)
    expect("caller", number == 200)
    answer, error = remote.six(1, 2, -3, 4, True, 6)
    while again(error):
        answer, error = remote.six(1, 2, -3, 4, True, 6)
    expect("six of all kinds", answer == 100000 + 20000 + 97000 + 400 + 10 + 6)
    small, error = remote.negative(-100, 27)
    while again(error):
        small, error = remote.negative(-100, 27)
    expect("negative", small == -127)
    yes, error = remote.opposite(False)
    while again(error):
        yes, error = remote.opposite(False)
    expect("opposite", yes)
    answer, error = remote.three(1, 2, 3)
    while again(error):
        answer, error = remote.three(1, 2, 3)
    expect("three", answer == 123)
    answer, error = NoBool(server).opposite(0xFFFF_FFFF_FFFF_FFFE)
    while again(error):
        answer, error = NoBool(server).opposite(0xFFFF_FFFF_FFFF_FFFE)
    expect("a bool from a stranger", answer & 0xFF == 1)


def check_refusals(server: u64) -> None:
    _result, error = NotServed(server).missing(1)
    while again(error):
        _result, error = NotServed(server).missing(1)
    expect("no function", error == NO_METHOD)
    _result, error = Sums(server + (u64(1) << 32)).two(1, 2)
    while again(error):
        _result, error = Sums(server + (u64(1) << 32)).two(1, 2)
    expect("another generation", error == STRANGER)
    _result, error = TrustedSums(server - (u64(1) << 32)).six(1, 2, 3, 4, 5, 6)
    while again(error):
        _result, error = TrustedSums(server - (u64(1) << 32)).six(1, 2, 3, 4, 5, 6)
    expect("an earlier generation", error == STRANGER)
    _result, error = Sums(shared.partner(0)).two(1, 2)
    expect("ourselves", error == Error.BUSY)
    _result, error = TrustedSums(shared.partner(40)).two(1, 2)
    expect("nobody", error == Error.NOT_RUNNABLE)
    _result, error = Sums(shared.partner(2)).two(1, 2)
    while again(error):
        _result, error = Sums(shared.partner(2)).two(1, 2)
    expect("a server of messages only", error == NO_METHOD)
    message = Message()
    message.words[1] = 5
    while again(aegis.transfer(1, message)):
        pass
    expect("messages beside methods", message.words[1] == 6)


def main() -> None:
    me = aegis.environment_page().identifier
    server = shared.partner(1)
    if me == 1 or me == 3:
        transfer.serve(pass_messages)
        aegis.environment_page().transfer_entry = 0
        rpc.serve()
    if me == 2:
        transfer.serve(pass_messages)
    if me == 3:
        call_for_ever()
    while me != 0:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    check_everything(server)
    check_refusals(server)
    for i in range(ROUNDS):
        result, error = Passing(shared.partner(3)).six(i, 2, 3, 4, 5, 6)
        expect("passed on", result == i * 100000 + 23456 or error == Error.BUSY or error == Error.NO_ENTRY)
        result, error = TrustedSums(server).six(i, 2, 3, 4, 5, 6)
        expect("six", result == i * 100000 + 23456 or error == Error.BUSY)
        no, error = TrustedSums(server).opposite(True)
        expect("opposite", not no or error == Error.BUSY)
    print("done")
