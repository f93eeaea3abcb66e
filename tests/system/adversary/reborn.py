# SPDX-License-Identifier: MIT
"""What must not outlive what it belonged to: the order against an environment that ended, the bindings to its frames, its
line, the rights of a page whose frame was broken. Environment 0 tries each with children that see its own memory. Prints
what is not as it should be, then `done`.
"""

from family import (
    CHILDREN,
    OWN_SLOTS,
    SANDBOX,
    bind_frame,
    claim,
    claim_mapped,
    claim_parts,
    frame_name,
    frame_rights,
    make,
    name_of,
    parts,
    prepare_sandbox,
    run,
    start,
    state_of,
)

from exokernel.aegis import abi
from exokernel.aegis.abi import Authority, Error, Kind, Right, State
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, addr, i64, u64, volatile_store

CHILD = 3  # slots
AUTHORITY = 4
words: Array[u64, 8] = Array[u64, 8]()  # what a child says


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted)


def later(milliseconds: u64) -> u64:
    return read_timestamp() + aegis.system_page().timestamp_frequency // 1000 * milliseconds


def end_and_wait(slot: u64, number: u64) -> None:
    """Without letting a tick by, if that can be: each try to create gives some frames back."""
    expect("end", aegis.environment_end(slot, 0), 0)
    while state_of(number) != State.FREE:
        aegis.frame_release(u64(aegis.frame_claim_table(abi.ANY)))


def try_orders() -> None:
    """An order ends with its environment: the next of its number is not bound by it."""
    name = name_of(Kind.AUTHORITY, Authority.MEMORY)
    expect("bind", aegis.bind(AUTHORITY, name, Right.WRITE, u64(aegis.capability_mint(name, Right.WRITE))), 0)
    claim_parts()
    expect("create", aegis.environment_create(CHILD, CHILDREN, parts), CHILDREN)
    expect("order", aegis.revoke(AUTHORITY, CHILDREN, 1, later(10_000)), 0)
    expect("twice", aegis.revoke(AUTHORITY, CHILDREN, 1, later(10_000)), Error.BUSY)
    end_and_wait(CHILD, CHILDREN)
    claim_parts()
    expect("create again", aegis.environment_create(CHILD, CHILDREN, parts), CHILDREN)
    expect("a new order", aegis.revoke(AUTHORITY, CHILDREN, 1, later(10_000)), 0)
    end_and_wait(CHILD, CHILDREN)
    aegis.unbind(AUTHORITY)


def mint_for_parent() -> None:
    """A child: claims a frame and leaves a capability of it."""
    frame = claim()
    rights = frame_rights(frame, Right.READ)
    words[1] = frame_name(frame)
    words[2] = rights
    words[3] = u64(aegis.capability_mint(frame_name(frame), rights))
    volatile_store(addr(words[0]), 1)
    while True:
        aegis.yield_to(0)


def try_bindings() -> None:
    """Bindings to the frames of who has ended end once and for all, however often they are made anew."""
    number = make(CHILD)
    expect("start", start(CHILD, u64(mint_for_parent), 0), 0)
    run(number, words[:])
    expect("bind", aegis.bind(5, words[1], words[2], words[3]), 0)
    expect("end", aegis.environment_end(CHILD, 0), 0)
    until = later(300)
    while state_of(number) != State.FREE and read_timestamp() < until:
        for slot in range(5, abi.BINDINGS):
            aegis.bind(slot, words[1], words[2], words[3])
    expect("state", i64(state_of(number)), State.FREE)
    for slot in range(5, abi.BINDINGS):
        aegis.unbind(slot)


def try_sharing() -> None:
    """Who still has a page of a frame that was broken, because not all bindings could be ended at once, cannot pass it
    on.
    """
    frame = claim_mapped(SANDBOX)
    for slot in range(10, 110):
        expect("bind", bind_frame(slot, frame, Right.READ), 0)
    expect("map", aegis.tlb_insert_bound(SANDBOX + 1, 10, Right.READ), 0)
    number = make(CHILD)
    expect("break", aegis.frame_break(frame), 1)
    expect("mapped still", i64(aegis.table_entry(SANDBOX + 1).bound), 1)
    for _ in range(2):  # the slot stays free
        expect("share", aegis.environment_share(CHILD, SANDBOX + 1, 1, 100, Right.READ), 1)
    expect("break", aegis.frame_break(frame), 0)
    expect("map again", aegis.tlb_insert_bound(SANDBOX + 1, 10, Right.READ), Error.NOT_PERMITTED)
    aegis.unbind(10)
    expect("bind anew", bind_frame(10, frame, Right.READ), 0)
    end_and_wait(CHILD, number)


def own_line() -> None:
    """A child: takes the console's line by our capability."""
    aegis.bind(OWN_SLOTS, words[1], words[2], words[3])
    volatile_store(addr(words[4]), u64(aegis.line_bind(OWN_SLOTS)))
    volatile_store(addr(words[0]), 1)
    while True:
        aegis.yield_to(0)


def try_lines() -> None:
    """The line of who has ended is free."""
    words.fill(0)
    number = make(CHILD)
    words[1] = name_of(Kind.LINE, abi.CONSOLE_LINE)
    words[2] = Right.WRITE
    words[3] = u64(aegis.capability_mint(words[1], Right.WRITE))
    expect("start", start(CHILD, u64(own_line), 0), 0)
    run(number, words[:])
    expect("the child's", i64(words[4]), 0)
    expect("bind", aegis.bind(6, words[1], Right.WRITE, words[3]), 0)
    expect("while it lives", aegis.line_bind(6), Error.BUSY)
    expect("read while it lives", aegis.console_read(), Error.BUSY)
    end_and_wait(CHILD, number)
    expect("not its", aegis.line_unmask(abi.CONSOLE_LINE), Error.NOT_OWNER)
    expect("free", aegis.line_bind(6), 0)


def main() -> None:
    prepare_sandbox()
    for _ in range(20):
        try_orders()
    try_bindings()
    try_sharing()
    try_lines()
    print("done")
