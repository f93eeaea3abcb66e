# SPDX-License-Identifier: MIT
"""Protected control transfers among four environments: 0 calls and says what it saw, 1 serves, 2 has no entry, 3 tries
to call who is busy.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error
from exokernel.exos import aegis, transfer
from exokernel.exos.aegis import Message
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import i64, u64

ADD, LONG, SLEEP, CALL_BACK, PASS_ON, END, COUNT = range(7)
served: u64 = 0
busy_answers: u64 = 0


def expect(what: str, good: bool) -> None:
    if not good:
        print("wrong:", what)


def spin(slices: u64) -> None:
    """Computes for a time of so many slices."""
    page = aegis.system_page()
    end = read_timestamp() + slices * page.slice_ticks * page.timestamp_frequency // 1_000_000_000
    while read_timestamp() < end:
        pass


def handle(caller: u64, message: Message) -> None:
    """What environments 1 and 3 do for others."""
    global served
    words = message.words
    what = words[0]
    served += 1
    words[7] = caller
    if what == ADD:
        words[1] += words[2]
    elif what == LONG:
        spin(10)
    elif what == SLEEP:
        words[1] = u64(aegis.wait(abi.FOREVER))
    elif what == CALL_BACK:
        words[1] = u64(aegis.transfer(caller, message))
    elif what == PASS_ON:
        words[0] = ADD
        words[3] = u64(aegis.transfer(3, message))
    elif what == END:
        aegis.exit(5)
    elif what == COUNT:
        words[1] = served


def background() -> None:
    """What a server does on its own; its registers must outlive the calls."""
    transfer.serve(handle)
    checksum: u64 = 0
    count: u64 = 0
    while True:
        count += 1
        checksum += count * 3
        assert checksum == 3 * (count * (count + 1) // 2), "a register changed"


def disturb() -> None:
    """Environment 3: calls 1 while others do, and counts refusals."""
    global busy_answers
    transfer.serve(handle)
    message = Message()
    while True:
        message.words[0] = ADD
        message.words[1] = 40
        message.words[2] = 2
        result = aegis.transfer(1, message)
        if result == Error.BUSY:
            busy_answers += 1
        else:
            assert result == Error.NOT_RUNNABLE or result == Error.PARTNER_LOST or message.words[1] == 42, "an answer"
        if aegis.system_page().environments[1].state == abi.State.FREE:
            aegis.exit(0 if busy_answers > 0 else 1)


def call(what: u64, a: u64, b: u64, message: Message) -> i64:
    """Calls environment 1, again while it is busy."""
    while True:
        message.words[0] = what
        message.words[1] = a
        message.words[2] = b
        result = aegis.transfer(1, message)
        if result != Error.BUSY:
            return result
        aegis.yield_to(abi.ANY_ENVIRONMENT)


def main() -> None:
    identifier = aegis.environment_page().identifier
    if identifier == 1:
        background()
    if identifier == 2:
        while True:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
    if identifier == 3:
        disturb()
    message = Message()
    while call(ADD, 1, 2, message) == Error.NO_ENTRY:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    for number in range(1000):
        expect("callee's number", call(ADD, number, 7, message) == 1)
        expect("answer", message.words[1] == number + 7 and message.words[7] == 0)
    expect("no entry", aegis.transfer(2, message) == Error.NO_ENTRY)
    expect("nobody", aegis.transfer(40, message) == Error.NOT_RUNNABLE)
    expect("idle", aegis.transfer(64, message) == Error.NOT_RUNNABLE)
    expect("oneself", aegis.transfer(0, message) == Error.BUSY)
    expect("nobody waits", aegis.transfer_back() == Error.NO_CALLER)
    expect("long", call(LONG, 0, 0, message) == 1)
    expect("sleep", call(SLEEP, 0, 0, message) == 1 and message.words[1] == u64(i64(Error.BUSY)))
    expect("back into who waits", call(CALL_BACK, 0, 0, message) == 1 and message.words[1] == u64(i64(Error.BUSY)))
    while message.words[3] != 3:
        expect("a chain", call(PASS_ON, 20, 3, message) == 1)
    expect("through the chain", message.words[1] == 23)
    expect("count", call(COUNT, 0, 0, message) == 1)
    before = message.words[1]
    message.words[0] = LONG
    while aegis.transfer_asynchronous(1, message) == Error.BUSY:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    expect("asynchronous no entry", aegis.transfer_asynchronous(2, message) == Error.NO_ENTRY)
    expect("asynchronous to oneself", aegis.transfer_asynchronous(0, message) == Error.BUSY)
    expect("asynchronous to nobody", aegis.transfer_asynchronous(1 << 40, message) == Error.NOT_RUNNABLE)
    expect("count again", call(COUNT, 0, 0, message) == 1 and message.words[1] >= before + 2)
    expect("an end", call(END, 0, 0, message) == Error.PARTNER_LOST)
    expect("gone", call(ADD, 0, 0, message) == Error.NOT_RUNNABLE)
    while aegis.system_page().environments[3].state != abi.State.FREE:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("done")
